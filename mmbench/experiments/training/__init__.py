"""Training a discriminator on a pair of base models: encoded pairs on disk, `mmbench train`, `mmbench toy`."""
