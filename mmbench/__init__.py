"""mmbench: a benchmark and evaluation harness for joint audio-video generation."""

__version__ = "0.1.0"
