"""The baseline over shuffled pairs: a metric between audio and video of different samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmbench.statistics.estimates import Estimate, generator, mean_score
from mmbench.types import Score, ShuffledPairs


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


def shuffled_pairs(
    score: Callable[[int, int], float], samples: Sequence[int], shuffles: int = 10, seed: int = 0
) -> ShuffledPairs:
    """The metric on mismatched pairs: score(i, j) over derangements j of i, so that each half occurs equally often.

    Args:
        score: Value of the video of the i-th of `samples` with the audio of the j-th; NaN where undefined.
        samples: Indices of the scored samples in the run.
        shuffles: Number of derangements.
        seed: Seed of the derangements.
    """
    partner = derangements(len(samples), shuffles, seed)
    values = np.array([score(i, int(j)) for p in partner for i, j in enumerate(p)], dtype=np.float64)
    index = np.asarray(samples, dtype=np.int64)
    return ShuffledPairs(np.tile(index, len(partner)), index[partner.ravel()], values)


def shuffled_baseline(pairs: ShuffledPairs) -> Estimate:
    """The mean over shuffled pairs.

    One side's clip occurs in several pairs, so values are not independent: the standard error clusters by both sides
    (Cameron, Gelbach & Miller 2011, eq. 2.10).
    """
    scored = ~np.isnan(pairs.values)
    if not scored.any():
        return Estimate(float("nan"), None, None, None, 0)
    n = len(np.unique(pairs.first))
    mean, count = float(pairs.values[scored].mean()), int(scored.sum())
    residual = np.where(scored, pairs.values - mean, 0.0)
    by_first, by_second = (np.bincount(side, weights=residual) for side in (pairs.first, pairs.second))
    variance = (by_first @ by_first + by_second @ by_second - np.sum(residual**2)) / count**2
    variance = max(variance, np.sum(residual**2) / count**2) * n / (n - 1)  # never below that of independent values
    from scipy.special import stdtrit

    stderr = float(np.sqrt(variance))
    margin = float(stdtrit(n - 1, 0.975)) * stderr
    return Estimate(mean, stderr, mean - margin, mean + margin, n)


def shuffled_score(values: np.ndarray, pairs: ShuffledPairs, **others: Any) -> Score:
    """The Score of a mean over samples beside its shuffled baseline, which it has none of without a scored pair.

    Args:
        values: (n,) per sample, NaN where unscored or missing.
        pairs: Of the same samples, as `shuffled_pairs` gives them.
        **others: Further fields of the Score.
    """
    base = shuffled_baseline(pairs)
    if not base.n:
        return mean_score(values, **others)
    return mean_score(values, baseline=base.value, baseline_stderr=base.stderr, shuffled=pairs, **others)
