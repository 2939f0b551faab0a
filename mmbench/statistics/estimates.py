"""Values with their standard errors and intervals: of means, and by the bootstrap of set metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmbench.types import Score

Z95 = 1.959964  # of the normal distribution


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and interval; None where the data cannot give them.

    Attributes:
        value: The estimate; NaN if nothing was scored.
        stderr: Its standard error.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Samples that entered it.
    """

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    n: int


def generator(*seed: int) -> np.random.Generator:
    """A generator that depends on nothing but `seed`."""
    return np.random.Generator(np.random.PCG64(seed))


def mean_estimate(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean, standard error and t interval of per-sample values.

    Args:
        values: (n,) floats, NaN where unscored.
        level: Coverage of the interval.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[~np.isnan(x)]
    n = len(x)
    if n < 2:
        return Estimate(float(x[0]) if n else float("nan"), None, None, None, n)
    from scipy.special import stdtrit

    value, stderr = float(x.mean()), float(x.std(ddof=1) / np.sqrt(n))
    margin = float(stdtrit(n - 1, (1 + level) / 2)) * stderr
    return Estimate(value, stderr, value - margin, value + margin, n)


def bootstrap_estimate(value: float, replicates: np.ndarray, n: int, level: float = 0.95) -> Estimate:
    """Bootstrap standard error and basic (reflected) interval of a set metric that is smooth in its samples.

    Replicates of a Fréchet distance lie above the value by about as much as the value lies above the truth; their
    percentiles can exclude the value itself. Reflecting them about it undoes both (Davison & Hinkley 1997, 5.2): the
    interval is for the distance at infinite n from what was held fixed, and may lie below the value. Where n is only
    a few times the dimension, standard error and interval are too wide (measured: results/statistics).

    Args:
        value: The metric on the full sample.
        replicates: (B,) its bootstrap values.
        n: Samples (clips) that were resampled.
        level: Coverage of the interval.
    """
    r = np.asarray(replicates, dtype=np.float64)
    if len(r) < 2:
        return Estimate(value, None, None, None, n)
    low, high = np.quantile(r, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(r.std(ddof=1)), float(2 * value - high), float(2 * value - low), n)


def mean_score(values: np.ndarray, **others: Any) -> Score:
    """The Score of a mean over samples, with its standard error and 95 % interval.

    Args:
        values: (n,) per sample, NaN where unscored or missing.
        **others: Further fields of the Score.
    """
    mean = mean_estimate(values)
    return Score(mean.value, mean.stderr, mean.n, per_sample=values, low=mean.low, high=mean.high, **others)


def bootstrap_score(
    value: float, replicates: np.ndarray, n: int, details: Mapping[str, Any] | None = None, **others: Any
) -> Score:
    """The Score of a metric of a whole set, with its bootstrap standard error and the 95 % interval that follows of it.

    The interval is for the value at this n, and never excludes it. That for the value at infinite n, which the
    reflected bootstrap gives, stands in the details as `infinity_low` and `infinity_high`.

    Args:
        value: The metric on the full sample.
        replicates: (B,) its bootstrap values.
        n: Samples that were resampled.
        details: Of the Score.
        **others: Further fields of the Score.
    """
    found = bootstrap_estimate(value, replicates, n)
    low, high = interval_of(value, found.stderr)
    told = {**(details or {}), "infinity_low": found.low, "infinity_high": found.high}
    return Score(value, found.stderr, n, replicates=replicates, low=low, high=high, details=told, **others)


def interval_of(value: float, stderr: float | None) -> tuple[float | None, float | None]:
    """The normal 95 % interval of a value of this standard error; None twice without one."""
    return (None, None) if stderr is None else (value - Z95 * stderr, value + Z95 * stderr)


def resample_indices(n: int, replicates: int, seed: int) -> np.ndarray:
    """Bootstrap indices (replicates, n) into n clips: the same for every system of equal n and seed, so they pair."""
    return generator(seed, n).integers(0, n, size=(replicates, n))
