"""Metrics, one file each; see docs/extending.md for how to add one."""
