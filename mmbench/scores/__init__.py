"""Features to scores to records."""
