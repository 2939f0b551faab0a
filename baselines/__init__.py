"""Generation systems, one file each; see README.md for how to add one."""
