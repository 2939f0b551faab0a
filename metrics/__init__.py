"""Metrics and feature networks, one file each; see README.md for how to add one."""
