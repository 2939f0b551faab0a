"""The energy distance between two samples (Székely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018)."""

from __future__ import annotations

import numpy as np

from mmbench.statistics.estimates import Estimate, interval_of

CHUNK = 512  # rows of distances in memory at once


def energy_distance(x: np.ndarray, y: np.ndarray) -> Estimate:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| without bias, with its standard error; 0 only for equal distributions.

    Unlike a likelihood it rises whether points are too wide, too narrow, in the wrong mode, or missing from one. The
    standard error is that of the first-order projection of the U-statistic; where the distributions are equal that
    vanishes, and the scatter over repetitions is smaller than it says.

    Args:
        x: (n, d) floats.
        y: (m, d) floats.

    Returns:
        The distance, in the unit of the points; it may fall slightly below 0 for equal distributions.
    """
    x, y = (np.asarray(z, np.float64) for z in (x, y))
    n, m = len(x), len(y)
    if n < 2 or m < 2:
        return Estimate(float("nan"), None, None, None, min(n, m))
    across, within_x, within_y = (_mean_distances(a, b) for a, b in ((x, y), (x, x), (y, y)))
    back = _mean_distances(y, x)
    within_x, within_y = within_x * n / (n - 1), within_y * m / (m - 1)  # a point is no neighbour of itself
    value = float(2 * across.mean() - within_x.mean() - within_y.mean())
    of_x, of_y = 2 * (across - within_x), 2 * (back - within_y)
    stderr = float(np.sqrt(of_x.var(ddof=1) / n + of_y.var(ddof=1) / m))
    return Estimate(value, stderr, *interval_of(value, stderr), min(n, m))


def _mean_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) mean Euclidean distance of each row of a to all rows of b."""
    parts = [a[i : i + CHUNK] for i in range(0, len(a), CHUNK)]
    return np.concatenate([np.sqrt(((part[:, None] - b[None]) ** 2).sum(-1)).mean(1) for part in parts])
