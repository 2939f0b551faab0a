"""Do metrics, the machine and the default systems behave: `mmbench verify`, `doctor`, `check`."""
