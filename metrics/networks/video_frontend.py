"""Video front ends of the feature networks: ffmpeg's change of frame rate, Pillow's resizing, the middle of a frame."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mmbench.networks.pillow_resize import resize


def fps_filter(num_frames: int, fps: Fraction, target: Fraction | int) -> np.ndarray:
    """Which frames ffmpeg's filter `fps=target` (round=near) shows of a video of constant rate.

    Frame k is due at output round(k target / fps), half away from zero. Output n is the last frame due by then; frames
    are dropped and repeated, never mixed. Exact arithmetic; the source is the rule of ffmpeg's libavfilter/vf_fps.c.

    Args:
        num_frames: Frames of the video; frame k is shown at k / fps.
        fps: Their rate [1/s].
        target: The rate wanted [1/s].

    Returns:
        (m,) int64 indices of frames, where m is num_frames target / fps, rounded the same way.
    """
    ratio = Fraction(target) / fps
    due = [int(k * ratio + Fraction(1, 2)) for k in range(num_frames + 1)]  # floor(x + 1/2), as nothing is negative
    return np.searchsorted(np.array(due[:-1], np.int64), np.arange(due[-1]), side="right") - 1


def resize_short_side(frames: np.ndarray, size: int) -> np.ndarray:
    """Frames (t, h, w, 3) uint8 with a short side of `size`, the long one int(size long / short).

    Bicubic (a = -0.5) with antialiasing, rounded to uint8 between the horizontal pass and the vertical one after it, as
    torchvision does on uint8; one pass in floats is up to 13 grey levels off.
    """
    from PIL.Image import Resampling

    height, width = frames.shape[1:3]
    short = min(height, width)
    if short == size:
        return frames
    new = (int(size * width / short), int(size * height / short))
    return np.stack([resize(frame, *new, Resampling.BICUBIC) for frame in frames])


def centre_crop(frames: np.ndarray, size: int) -> np.ndarray:
    """The middle (t, size, size, 3) of frames, from row and column round((n - size) / 2), half to even."""
    top, left = (round((n - size) / 2) for n in frames.shape[1:3])
    return frames[:, top : top + size, left : left + size]
