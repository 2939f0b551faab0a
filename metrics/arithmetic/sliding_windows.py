"""JavisScore's arithmetic: windows of two seconds every half second, and the frames of each that agree least.

JavisVerse/JavisDiT@b505b37:eval/javisbench/src/{dataset,metrics}.py, with the window and overlap of its main.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmbench.errors import MMBenchError

WINDOW_SECONDS, OVERLAP_SECONDS = 2.0, 1.5
SAMPLE_RATE = 16000  # [Hz]
SHARE = 0.4  # of a window's frames: those that agree least
Window = tuple[int, int]  # [first, stop)


def windows(length: int, size: int, hop: int) -> list[Window]:
    """Windows of `size` every `hop`; the one that would pass the end is moved back to end there, and is the last.

    Args:
        length: Frames or samples; up to `size` of them are one window.
        size: Of a window, at least 1.
        hop: From one window to the next.

    Raises:
        MMBenchError: `hop` is 0 and one window is not enough.
    """
    if length <= size:
        return [(0, length)]
    if hop < 1:
        raise MMBenchError(f"Windows of {size} frames that overlap by as many never end.", "a higher frame rate")
    starts = [*range(0, length - size, hop), length - size]
    return [(start, start + size) for start in starts]


def sample_windows(
    samples: int, seconds: float = WINDOW_SECONDS, overlap: float = OVERLAP_SECONDS, rate: int = SAMPLE_RATE
) -> list[Window]:
    """Windows of a sound in samples at `rate` [Hz], of `seconds` that overlap by `overlap` [s]."""
    return windows(samples, int(seconds * rate), int(seconds * rate) - int(overlap * rate))


def paired_windows(
    frames: int, fps: float, samples: int, seconds: float = WINDOW_SECONDS, overlap: float = OVERLAP_SECONDS
) -> tuple[list[Window], list[Window]]:
    """Windows of a picture and of its sound, as many of each; if either fits into one, all of both are one window.

    The hop in frames is int(2 fps) - int(1.5 fps): 13 frames at 25 fps, not 12.

    Args:
        frames: Of the picture.
        fps: Their rate [1/s].
        samples: Of the sound at 16 kHz.
        seconds: Of a window.
        overlap: Of one window with the next [s].

    Raises:
        MMBenchError: Windows overlap by all of their frames, as at 1.4 frames per second.
    """
    size = int(seconds * fps)
    if frames <= size or samples <= int(seconds * SAMPLE_RATE):
        return [(0, frames)], [(0, samples)]
    shown, heard = windows(frames, size, size - int(overlap * fps)), sample_windows(samples, seconds, overlap)
    return shown[: len(heard)], heard[: len(shown)]


def least_agreement(cosines: Sequence[np.ndarray]) -> float:
    """The mean over windows of the mean of each one's smallest cosines, int(0.4 n) of n.

    Args:
        cosines: (n,) of every frame of a window with its sound.

    Returns:
        NaN where a window has fewer than three frames, of which 0.4 is no whole frame.
    """
    counts = [int(SHARE * len(window)) for window in cosines]
    if not counts or min(counts) < 1:
        return float("nan")
    return float(np.mean([np.sort(window)[:count].mean() for window, count in zip(cosines, counts, strict=True)]))
