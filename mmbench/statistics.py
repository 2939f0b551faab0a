"""How sure a number is: intervals, paired differences, shuffled baselines, the bootstrap, and planning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.types import Score


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


@dataclass(frozen=True)
class Plan:
    """What a comparison can see.

    Attributes:
        detectable: The smallest true difference that is found with the asked power at the pilot's n.
        needed: Samples needed to find the asked effect; None if no effect was asked.
    """

    detectable: float
    needed: int | None


@dataclass(frozen=True)
class Difference:
    """b - a of two systems on the same samples, with its interval and two-sided p-value."""

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    p_value: float | None
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


def paired_difference(a: Score, b: Score, level: float = 0.95) -> Difference:
    """b - a on the same samples: a t interval over sample pairs, or over shared bootstrap resamplings for set metrics.

    Raises:
        MMBenchError: If the scores are not of the same samples or resamplings.
    """
    if a.per_sample is not None and b.per_sample is not None:
        if len(a.per_sample) != len(b.per_sample):
            raise _unpaired(f"One score has {len(a.per_sample)} samples, the other {len(b.per_sample)}.")
        d = mean_estimate(np.asarray(b.per_sample, np.float64) - np.asarray(a.per_sample, np.float64), level)
        return Difference(d.value, d.stderr, d.low, d.high, _t_test(d), d.n)
    if a.replicates is not None and b.replicates is not None:
        if len(a.replicates) != len(b.replicates) or a.num_scored != b.num_scored:
            raise _unpaired(
                f"{len(a.replicates)} resamplings of {a.num_scored} samples cannot be paired with "
                f"{len(b.replicates)} of {b.num_scored}."
            )
        value, r = b.value - a.value, np.asarray(b.replicates, np.float64) - np.asarray(a.replicates, np.float64)
        d = bootstrap_estimate(value, r, a.num_scored, level)
        return Difference(d.value, d.stderr, d.low, d.high, _bootstrap_test(value, r), d.n)
    raise _unpaired("The scores hold neither values per sample nor bootstrap replicates on both sides.")


def _unpaired(found: str) -> MMBenchError:
    return MMBenchError(
        found, "two scores of one metric on the same samples", "score both runs with the same n, seed and replicates"
    )


def _t_test(d: Estimate) -> float | None:
    """Two-sided p of the t statistic; without scatter, 1 for no difference and 0 for one."""
    if d.stderr is None:
        return None
    if d.stderr == 0:
        return float(d.value == 0)
    from scipy.special import stdtr

    return float(2 * stdtr(d.n - 1, -abs(d.value / d.stderr)))


def _bootstrap_test(value: float, replicates: np.ndarray) -> float | None:
    """Two-sided p of `value` under replicates shifted to zero; agrees with the basic interval on excluding 0."""
    if len(replicates) < 2:
        return None
    null = replicates - value
    tail = min(np.count_nonzero(null <= value), np.count_nonzero(null >= value))
    return float(min(1.0, 2 * (tail + 1) / (len(replicates) + 1)))


def derangements(n: int, k: int, seed: int) -> np.ndarray:
    """(k, n) permutations of range(n) without fixed points, uniform among them; (0, n) if n < 2, where none exist."""
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


def resample_indices(n: int, replicates: int, seed: int) -> np.ndarray:
    """(replicates, n) bootstrap indices into n clips: the same for every system of equal n and seed, so they pair."""
    return generator(seed, n).integers(0, n, size=(replicates, n))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down correction: adjusted p-values, in the order given (Holm 1979)."""
    p = np.asarray(p_values, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values {p.tolist()}: expected numbers in [0, 1]")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def plan(stderr: float, n: int, effect: float | None = None, power: float = 0.8, level: float = 0.95) -> Plan:
    """How small a difference n samples can show, and how many samples an effect needs.

    Holds for mean and set metrics alike, their standard errors falling with the root of n. Two runs of equal n that do
    not pair differ with √2 times the standard error of one.

    Args:
        stderr: Standard error of the difference in a pilot, e.g. of `paired_difference`.
        n: Samples of the pilot.
        effect: True difference to find, in units of the metric.
        power: Probability of finding it.
        level: 1 - level is the two-sided significance.

    Raises:
        ValueError: If the pilot or the effect is not positive.
    """
    if n < 2 or not stderr > 0 or (effect is not None and not effect > 0):
        raise ValueError(f"stderr {stderr}, n {n}, effect {effect}: expected a pilot of n >= 2 and positive numbers")
    from scipy.special import stdtrit

    def width(m: float) -> float:
        quantiles = stdtrit(m - 1, (1 + level) / 2) + stdtrit(m - 1, power)
        return float(quantiles * stderr * np.sqrt(n / m))

    if effect is None:
        return Plan(width(n), None)
    few, enough = 1, 2
    while width(enough) > effect:
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (middle, enough) if width(middle) > effect else (few, middle)
    return Plan(width(n), enough)
