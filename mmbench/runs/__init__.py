"""A run's identity, its samples on disk, and who makes them."""
