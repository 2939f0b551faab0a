"""A user's own copies of datasets: which files fit, their clips made ready once, their texts."""
