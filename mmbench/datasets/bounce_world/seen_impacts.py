"""When impacts are seen in a video of the bounce world, real or generated: dust rises where a ball strikes.

On real clips the truth is known: of 64 of seed 8 (LEAST_RISE was chosen on seed 7), 99 % of what is found is an impact
before that very frame, and 90 % of the impacts are found. Of generated balls nothing is known.
"""

from __future__ import annotations

import numpy as np

from mmbench.datasets.bounce_world.render import DUST_LIFE, DUST_WHITE

LEAST_RISE = 0.01  # of the picture that new dust covers, in whole opaque pixels
LEAST_ROOM = 8.0  # of a pixel's level below white, so that white walls count little


def dust_cover(video: np.ndarray) -> np.ndarray:
    """Share of the picture that is whiter than usual, as dust makes it: (T,) in [0, 1].

    Args:
        video: (T, H, W, 3) uint8, RGB. A pixel's usual colour is its median over time: balls are elsewhere then.
    """
    frames = video.astype(np.float32)
    usual = np.median(frames, axis=0)
    whiter = (frames - usual) / np.maximum(255.0 * DUST_WHITE - usual, LEAST_ROOM)
    return np.clip(whiter.min(axis=-1), 0.0, 1.0).mean(axis=(1, 2))


def seen_impacts(video: np.ndarray, fps: float) -> np.ndarray:
    """Intervals [s] in which an impact is seen: (L, 2), from the frame before to the one that shows new dust.

    Args:
        video: (T, H, W, 3) uint8, RGB.
        fps: Frames per second.
    """
    cover = dust_cover(video)
    old = np.exp(-1.0 / (fps * DUST_LIFE)) * np.concatenate([[0.0], cover[:-1]])
    first = 1 + np.flatnonzero((cover - old)[1:] > LEAST_RISE)
    return np.stack([first - 1, first], axis=1) / fps
