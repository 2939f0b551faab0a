"""Seconds and memory of generating and of training: `mmbench profile`, Tables 11 and 12."""
