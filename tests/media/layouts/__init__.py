"""Layouts of other benchmarks."""
