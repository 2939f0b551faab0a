"""How well two lists of times agree: the published formulas of AV-Align, and one from the largest matching.

Throughout, `onsets` (K,) and `peaks` (L,) are times [s] of audio and video events, and an onset a is near a peak v if
v - 1/fps < a < v + 1/fps.
"""

from __future__ import annotations

import numpy as np


def near(times: np.ndarray, centres: np.ndarray, fps: float) -> np.ndarray:
    """Which times (K,) lie near which centres (L,): (K, L) bool.

    c - 1/fps < t < c + 1/fps, rounded as written; |t - c| < 1/fps differs at the window's edge.
    """
    t, c = np.asarray(times, np.float64)[:, None], np.asarray(centres, np.float64)[None]
    return (c - 1 / fps < t) & (t < c + 1 / fps)


def _iou(intersection: float, total: int) -> float:
    return intersection / (total - intersection) if total else float("nan")


def tempotokens_v1(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> float:
    """AV-Align as TempoTokens first published it: I / (|A| + |V| - I), I the number of onsets near any peak.

    An onset counts as often as it comes, a peak once: one peak and k onsets near it give k, not 1. NaN if both lists
    are empty. Source: guyyariv/TempoTokens@34d9502:av_align.py, its undefined `n` read as len(arr).
    """
    return _iou(int(near(onsets, peaks, fps).any(axis=1).sum()), len(onsets) + len(peaks))


def tempotokens_v2(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> float:
    """AV-Align as TempoTokens corrected it: each onset, in the order given, takes the first free peak near it.

    The number of pairs is the I of `tempotokens_v1`, so that values lie in [0, 1]; NaN if both lists are empty.
    Source: guyyariv/TempoTokens@bf0b1e3:av_align.py, which also asks peaks for 0.1 px of flow.
    """
    free = np.ones(len(peaks), dtype=bool)
    for row in near(onsets, peaks, fps):
        free[np.flatnonzero(row & free)[:1]] = False
    return _iou(int((~free).sum()), len(onsets) + len(peaks))


def matched_counts(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> tuple[int, int]:
    """The number of onsets near a peak, and of peaks near an onset (windows about onsets, as SVG_baseline)."""
    return int(near(onsets, peaks, fps).any(axis=1).sum()), int(near(peaks, onsets, fps).any(axis=1).sum())


def sony_pr(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> float:
    """AV-Align of SVG_baseline: p q / (p + q - p q), p and q the matched shares of onsets and of peaks.

    0 wherever that is undefined. Source: SonyResearch/SVG_baseline@e8ebd06:py_scripts/evaluation/av_align.py.
    """
    matched_onsets, matched_peaks = matched_counts(onsets, peaks, fps)
    if not matched_onsets or not matched_peaks:
        return 0.0
    p, q = matched_onsets / len(onsets), matched_peaks / len(peaks)
    return p * q / (p + q - p * q)


def eq37_iou(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> float:
    """AV-Align by Eq. 37 of MMDisCo (arXiv 2405.17842), near times as one element of A ∪ V; NaN if it is empty.

    M / (|A| + |V| - M), M = (onsets near a peak + peaks near an onset) / 2. No code of the equation exists. This
    reading is the preset's because under it, as under its name (IoU), perfect synchrony gives 1.
    """
    return _iou(sum(matched_counts(onsets, peaks, fps)) / 2, len(onsets) + len(peaks))


def max_matching(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> int:
    """Size of the largest one-to-one matching of onsets and peaks near each other.

    Windows of equal width begin and end in the order of their centres; for those, giving each peak in turn the
    earliest onset that is left in its window is optimal.
    """
    a, v = np.sort(onsets).tolist(), np.sort(peaks).tolist()
    i = j = size = 0
    while i < len(a) and j < len(v):
        if a[i] <= v[j] - 1 / fps:
            i += 1
        elif a[i] >= v[j] + 1 / fps:
            j += 1
        else:
            i, j, size = i + 1, j + 1, size + 1
    return size


def matched(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> float:
    """Intersection over union of the largest one-to-one matching: M / (|A| + |V| - M), in [0, 1]; NaN if empty."""
    return _iou(max_matching(onsets, peaks, fps), len(onsets) + len(peaks))
