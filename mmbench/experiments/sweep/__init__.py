"""Grids of trainings: declared, carried out, logged, laid out as Tables 7 to 10, drawn as Figure 5."""
