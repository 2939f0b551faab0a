"""The command line: each file parses a family of commands, calls one function of another room, and prints."""
