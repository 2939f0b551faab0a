"""Checkpoints: where they come from, their digests and licences, reading them safely."""
