"""Damage and failing disks, drawn by seed: nothing wrong may pass for right, and nothing may be lost."""
