"""mmbench as a library: arrays to scores, during a training too; `mmbench/__init__.py` says what of it is public."""
