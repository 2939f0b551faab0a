"""Features to numbers: Fréchet and kernel distances, matching of events."""
