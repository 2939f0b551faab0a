"""How much a video moves from frame to frame: mean magnitude of Farneback's optical flow.

Numbers as guyyariv/TempoTokens@34d9502:av_align.py, where one trajectory costs a quarter of a second at 256x256. Here
no pair is computed twice, and clips are independent, so that a process pool over clips scales.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import cast

import numpy as np

from mmbench.types import Clip, Features, Modality, Spec, Weights

FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
KEPT = 32 << 20  # [bytes] the largest threshold that glibc takes


@cache
def keep_freed_memory() -> None:
    """Let the allocator keep memory that OpenCV frees: mapping it anew for every pair of frames costs a fifth more."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library: nothing to gain, nothing lost
        return
    mallopt(M_MMAP_THRESHOLD, KEPT)
    mallopt(M_TRIM_THRESHOLD, 4 * KEPT)


def flow_trajectory(video: np.ndarray) -> np.ndarray:
    """Mean flow magnitude of every frame against the one before it.

    The first frame has none before it and repeats the second's value, as the reference does by measuring the first
    pair twice. A static video gives a small constant, not zero.

    Args:
        video: (T, H, W, 3) uint8, RGB.

    Returns:
        (T,) float64 [px/frame]; (0,) if there are fewer than two frames, which do not move (the reference raises).
    """
    import cv2

    if len(video) < 2:
        return np.empty(0)
    keep_freed_memory()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # Farneback gains nothing from threads, and the pool has a process per core
    try:
        # the reference goes through BGR; both ways weigh the channels alike, to the bit
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video]
        flow, field = np.empty(len(video)), np.empty((*video.shape[1:3], 2), np.float32)
        for i in range(1, len(video)):
            cv2.calcOpticalFlowFarneback(grey[i - 1], grey[i], field, **FARNEBACK)  # type: ignore[call-overload]
            # not cv2.magnitude: its last bit depends on how arrays are aligned, which gives static videos peaks
            np.multiply(field, field, out=field)
            flow[i] = np.sqrt(field[..., 0] + field[..., 1]).mean(dtype=np.float64)
    finally:
        cv2.setNumThreads(threads)
    flow[0] = flow[1]
    return flow


def flow_peaks(flow: np.ndarray, fps: float, threshold: float = 0.0) -> np.ndarray:
    """Times [s] of strict local maxima of a (T,) trajectory [px/frame] that reach `threshold`; never an end point."""
    before, middle, after = flow[:-2], flow[1:-1], flow[2:]
    peak = (before < middle) & (middle > after) & (middle >= threshold)
    return (np.flatnonzero(peak) + 1) / fps


class FarnebackFlow:
    """Extractor of `flow` (T,) float64 [px/frame] and `fps` () float64 [1/s] of a video."""

    name: str = "flow_farneback"
    modality: Modality = "video"
    batch_size: int = 1
    weights: Weights = "none"

    def spec(self) -> Spec:
        """All that the trajectory depends on."""
        return {"function": "farneback_mean_magnitude", **FARNEBACK, "version": 1}

    def extract(self, batch: Sequence[Clip] | Sequence[str]) -> list[Features]:
        """Flow trajectories of clips."""
        clips = cast("Sequence[Clip]", batch)
        return [{"flow": flow_trajectory(clip.video), "fps": np.array(float(clip.fps))} for clip in clips]
