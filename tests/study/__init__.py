"""Blind studies: the design, the pages, the answers and their tally."""
