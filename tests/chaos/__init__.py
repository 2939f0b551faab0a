"""Attempts to break things: kills, damaged and hostile files; a minute of it in the suite, an hour by `make chaos`."""
