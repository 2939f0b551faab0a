"""The embedded pair that ships with the package."""
