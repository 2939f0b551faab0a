"""Clips of noise, and where a test lets an extraction find them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmbench.types import Clip

RATE = 16000


def noise_clip(frames: int, seconds: float | None = None, fps: float = 8.0, seed: int = 0) -> Clip:
    """Frames of 24x32 noise; the sound is as long as the picture unless `seconds` says otherwise."""
    rng = np.random.default_rng(seed)
    video = rng.integers(0, 256, (frames, 24, 32, 3), dtype=np.uint8)
    samples = round((frames / fps if seconds is None else seconds) * RATE)
    return Clip(video, fps, (0.1 * rng.standard_normal(samples)).astype(np.float32), RATE)


@dataclass
class ClipInMemory:
    """A source of a clip that is there already."""

    id: str
    clip: Clip
    digest: str = ""

    def load(self) -> Clip:
        """The clip."""
        return self.clip
