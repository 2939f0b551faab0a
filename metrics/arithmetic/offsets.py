"""From logits of 21 offsets to the seconds that papers call DeSync, and which segments are judged together.

hkchengrex/av-benchmark@050a5cd:av_bench/evaluate.py, JavisVerse/JavisDiT@b505b37:eval/javisbench/src/metrics.py,
microsoft/AVGen-Bench@1049eab:eval/Syncformer/batch_eval.py, Dorniwang/Verse-Bench@5645a09:syncformer/.
"""

from __future__ import annotations

import numpy as np

from mmbench.metrics.networks.synchformer_segments import SEGMENTS

GRID = np.linspace(-2, 2, 21, dtype=np.float32)  # [s]
CHANCE = float(np.abs(np.linspace(-2, 2, 21)).mean())  # [s], of a uniform guess: 1.048


def argmax_offsets(logits: np.ndarray) -> np.ndarray:
    """The likeliest offsets (...) float64 [s] of logits (..., 21), with their sign; the first of equal ones."""
    return GRID[np.argmax(logits, axis=-1)].astype(np.float64)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax (..., 21) float64 of logits."""
    z = np.asarray(logits, np.float64)
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def expected_offsets(logits: np.ndarray) -> np.ndarray:
    """The mean offsets (...) float64 [s] under the softmax of logits (..., 21), with their sign.

    A guess of two equal peaks at -1 and 1 s has the expectation 0: |E| is at most E|.|.
    """
    return probabilities(logits) @ GRID.astype(np.float64)


def share_within(offsets: np.ndarray, tolerance: float) -> float:
    """The share of offsets [s] that are at most `tolerance` from 0, up to rounding."""
    return float(np.mean(np.abs(offsets) <= tolerance + 1e-6))


def first_and_last(num_segments: int) -> list[list[int]]:
    """av-benchmark's windows: the first 14 segments and the last 14; one if that is all.

    Args:
        num_segments: At least 14.
    """
    starts = sorted({0, num_segments - SEGMENTS})
    return [list(range(start, start + SEGMENTS)) for start in starts]


def looped(num_segments: int) -> list[list[int]]:
    """JavisBench's windows: 14 segments after 14, the last one moved back to end at the end.

    Fewer than 14 segments begin again at the first until there are 14, with a jump inside what the network judges.

    Args:
        num_segments: At least 1.
    """
    if num_segments < SEGMENTS:
        return [[i % num_segments for i in range(SEGMENTS)]]
    starts = [*range(0, num_segments - SEGMENTS, SEGMENTS), num_segments - SEGMENTS]
    return [list(range(start, start + SEGMENTS)) for start in starts]
