"""The baseline over shuffled pairs: a metric between audio and video of different samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmbench.statistics.estimates import Estimate, generator


def derangements(n: int, k: int, seed: int) -> np.ndarray:
    """Random permutations (k, n) of range(n) without fixed points, uniform among them; (0, n) if n < 2."""
    if n < 2:
        return np.empty((0, n), dtype=np.intp)
    rng = generator(seed, n)
    found: list[np.ndarray] = []
    while len(found) < k:  # one permutation in e has no fixed point
        p = rng.permutation(n)
        if not np.any(p == np.arange(n)):
            found.append(p)
    return np.array(found, dtype=np.intp).reshape(k, n)


def shuffled_baseline(score: Callable[[int, int], float], n: int, shuffles: int = 10, seed: int = 0) -> Estimate:
    """The metric on mismatched pairs: mean of score(i, j) over derangements j of i.

    One side's clip occurs in several pairs, so values are not independent: the standard error clusters by both sides
    (Cameron, Gelbach & Miller 2011, eq. 2.10).

    Args:
        score: Value of the video of clip i with the audio of clip j; NaN where undefined.
        n: Number of clips.
        shuffles: Number of derangements.
        seed: Seed of the derangements.
    """
    partner = derangements(n, shuffles, seed)
    values = np.array([[score(i, int(j)) for i, j in enumerate(p)] for p in partner], dtype=np.float64)
    scored = ~np.isnan(values)
    if not scored.any():
        return Estimate(float("nan"), None, None, None, 0)
    mean, count = float(values[scored].mean()), int(scored.sum())
    residual = np.where(scored, values - mean, 0.0)
    by_first = residual.sum(axis=0)
    by_second = np.bincount(partner.ravel(), weights=residual.ravel(), minlength=n)
    variance = (by_first @ by_first + by_second @ by_second - np.sum(residual**2)) / count**2
    variance = max(variance, np.sum(residual**2) / count**2) * n / (n - 1)  # never below that of independent values
    from scipy.special import stdtrit

    stderr = float(np.sqrt(variance))
    margin = float(stdtrit(n - 1, 0.975)) * stderr
    return Estimate(mean, stderr, mean - margin, mean + margin, n)
