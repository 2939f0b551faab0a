"""Diff-Foley: sound for videos."""
