"""Datasets, one file each: prompts to generate for and real clips to compare with."""
