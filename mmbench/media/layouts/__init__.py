"""How other benchmarks want their input: one file per layout, with the facts of the tool that reads it."""
