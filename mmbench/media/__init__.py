"""Clips in files: ours, lossless, and other people's, decoded and resampled."""
