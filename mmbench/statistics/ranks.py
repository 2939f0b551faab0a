"""Intervals for ranks: between which places a system surely stands, for all systems at once."""

from __future__ import annotations

import numpy as np

from mmbench.statistics.paired import holm


def rank_intervals(p_values: np.ndarray, level: float = 0.95) -> list[tuple[int, int]]:
    """Simultaneous intervals for the ranks of m systems, 1 being the best.

    Made of tests of all pairs, as by Mogstad, Romano, Shaikh & Wilhelm (2024; arXiv 2401.15205 describes it), with
    Holm's method in place of theirs. A system stands after all that are surely better and before all that are surely
    worse. With probability `level` at least, every interval holds its system's true rank, which is one more than the
    number of truly better systems: Holm's method over all ordered pairs rejects no true hypothesis with that
    probability, however the tests depend on each other, and a wrong direction is a true hypothesis rejected.

    Args:
        p_values: (m, m); at [j, k] the one-sided p-value of "j is not better than k", NaN where it is not tested.
        level: Probability that all intervals hold.

    Returns:
        First and last place of each system, in [1, m].
    """
    m = len(p_values)
    j, k = np.nonzero(~np.isnan(p_values) & ~np.eye(m, dtype=bool))
    sure = np.zeros((m, m), dtype=bool)
    sure[j, k] = holm(p_values[j, k].tolist()) < 1 - level
    better, worse = sure.sum(axis=0), sure.sum(axis=1)  # how many are surely better and worse than each
    return [(1 + int(b), m - int(w)) for b, w in zip(better, worse, strict=True)]


def welch_p_values(values: np.ndarray, stderrs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """One-sided p-values of "j is not better than k" between values of independent samples, higher being better.

    Welch's t test (Welch 1947). Of systems scored on the same prompts it is conservative: their values agree more
    than independent ones.

    Args:
        values: (m,) float64.
        stderrs: (m,) their standard errors, NaN for one without, which nothing is tested against.
        counts: (m,) samples behind each, 2 at least where there is a standard error.

    Returns:
        (m, m) float64, NaN where a standard error is missing or both are zero and the values equal.
    """
    from scipy.special import stdtr

    variance = stderrs**2
    both = variance[:, None] + variance[None, :]
    parts = variance**2 / np.maximum(counts - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (values[:, None] - values[None, :]) / np.sqrt(both)
        freedom = both**2 / (parts[:, None] + parts[None, :])
    return np.where(np.isinf(t), (t < 0).astype(float), stdtr(freedom, -t))
