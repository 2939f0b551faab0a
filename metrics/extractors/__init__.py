"""Clips to features."""
