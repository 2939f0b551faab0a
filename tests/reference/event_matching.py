"""The reading of MMDisCo's Eq. 37 that no preset uses."""

from __future__ import annotations

import numpy as np

from mmbench.metrics.arithmetic.event_matching import matched_counts


def eq37_set_union(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> float:
    """Eq. 37 to the letter: M / |A ∪ V| where only equal times merge, so that synchrony on unlike grids gives 1/2."""
    union = len(onsets) + len(peaks) - len(np.intersect1d(onsets, peaks))
    return sum(matched_counts(onsets, peaks, fps)) / (2 * union) if union else float("nan")
