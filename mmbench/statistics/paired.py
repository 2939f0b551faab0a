"""Paired differences between systems, with intervals and p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.statistics.estimates import Z95, Estimate, bootstrap_estimate, mean_estimate
from mmbench.types import Score


@dataclass(frozen=True)
class Difference:
    """The difference b - a of two systems on the same samples, with its interval and two-sided p-value."""

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int


@dataclass(frozen=True)
class Wins:
    """The share of paired samples on which the second of two systems is better, ties counted half.

    Attributes:
        share: In [0, 1]; 0.5 where neither wins more often.
        low: Lower end of its 95 % interval.
        high: Upper end.
        n: Pairs of which both samples are scored.
    """

    share: float
    low: float
    high: float
    n: int


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """The ends of the 95 % score interval of a share of `n` trials (Wilson 1927); of none, 0 and 1."""
    if n == 0:
        return 0.0, 1.0
    shrink = 1 + Z95**2 / n
    middle = (share + Z95**2 / (2 * n)) / shrink
    margin = Z95 * float(np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))) / shrink
    return max(0.0, middle - margin), min(1.0, middle + margin)


def count_wins(a: np.ndarray, b: np.ndarray, higher_is_better: bool) -> Wins | None:
    """The share of pairs that b wins, with Wilson's score interval; None without pairs.

    A difference of means can hang on a few samples; the share of pairs cannot. Ties scatter less than wins and losses,
    so that with ties the interval is too wide rather than too narrow.

    Args:
        a: (n,) values per sample, NaN where unscored.
        b: (n,) values of the same samples.
        higher_is_better: Which direction wins.
    """
    d = np.asarray(b, np.float64) - np.asarray(a, np.float64)
    d = d[~np.isnan(d)] * (1.0 if higher_is_better else -1.0)
    n = len(d)
    if n == 0:
        return None
    share = float(np.mean((np.sign(d) + 1) / 2))
    return Wins(share, *wilson_interval(share, n), n)


def paired_difference(a: Score, b: Score, level: float = 0.95) -> Difference:
    """The difference b - a on the same samples, by a t interval over pairs, or over shared resamplings of set metrics.

    Raises:
        MMBenchError: If the scores are not of the same samples or resamplings.
    """
    if a.per_sample is not None and b.per_sample is not None:
        if len(a.per_sample) != len(b.per_sample):
            raise _unpaired(f"One score has {len(a.per_sample)} samples, the other {len(b.per_sample)}.")
        d = mean_estimate(np.asarray(b.per_sample, np.float64) - np.asarray(a.per_sample, np.float64), level)
        return Difference(d.value, d.stderr, d.low, d.high, t_test(d), d.n)
    if a.replicates is not None and b.replicates is not None:
        if len(a.replicates) != len(b.replicates) or a.num_scored != b.num_scored:
            raise _unpaired(
                f"{len(a.replicates)} resamplings of {a.num_scored} samples cannot be paired with "
                f"{len(b.replicates)} of {b.num_scored}."
            )
        value, r = b.value - a.value, np.asarray(b.replicates, np.float64) - np.asarray(a.replicates, np.float64)
        d = bootstrap_estimate(value, r, a.num_scored, level)
        return Difference(d.value, d.stderr, d.low, d.high, _bootstrap_test(value, r, d.n), d.n)
    raise _unpaired("The scores hold neither values per sample nor bootstrap replicates on both sides.")


def _unpaired(found: str) -> MMBenchError:
    return MMBenchError(
        found, "two scores of one metric on the same samples", "score both runs with the same n, seed and replicates"
    )


def t_test(d: Estimate) -> float | None:
    """Two-sided p of the t statistic; without scatter, 1 for no difference and 0 for one."""
    if d.stderr is None:
        return None
    if d.stderr == 0:
        return float(d.value == 0)
    from scipy.special import stdtr

    return float(2 * stdtr(d.n - 1, -abs(d.value / d.stderr)))


def _bootstrap_test(value: float, replicates: np.ndarray, n: int) -> float | None:
    """Two-sided p of `value` under replicates shifted to zero; agrees with the basic interval on excluding 0.

    It is never below 2^(1 - n), the least that a sign test of n pairs can give: of few clips there are few different
    resamplings, and all on one side are no rarity.
    """
    if len(replicates) < 2:
        return None
    null = replicates - value
    tail = min(np.count_nonzero(null <= value), np.count_nonzero(null >= value))
    return float(min(1.0, max(2 * (tail + 1) / (len(replicates) + 1), 2.0 ** (1 - n))))


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
