"""Paired excess: how far a metric of pairs is above the same clips with the sounds of other clips, and its error.

The value and its shuffled baseline are means over pairs of the same clips, so that their errors are not independent.
All pairs that share a clip are taken for correlated, whatever its role in them: the error clusters by clips, as for
dyadic data (Fafchamps & Gubert 2007; Aronow, Samii & Assenova 2015). Summed are products of the residuals of any two
pairs that share a clip, each counted once. For pairs of which each clip is in equally many, this has the expectation of
the excess's variance to first order in 1/n, the noise of having drawn a few shuffles and not all among it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmbench.statistics.estimates import Estimate
from mmbench.statistics.paired import Difference, t_test
from mmbench.types import Score, ShuffledPairs


def estimate_excess(score: Score, level: float = 0.95) -> Estimate | None:
    """The value of a score less its shuffled baseline, with a t interval; None without pairs of both kinds.

    Args:
        score: With values per sample and shuffled pairs.
        level: Coverage of the interval.
    """
    pairs = _all_pairs(score)
    return None if pairs is None else _estimate([pairs], level)


def subtract_excess(a: Score, b: Score, level: float = 0.95) -> Difference | None:
    """The difference of excesses b - a over the samples scored in both, which equal places are; None without any.

    Args:
        a: With values per sample and shuffled pairs.
        b: The same of another system.
        level: Coverage of the interval.
    """
    if a.per_sample is None or b.per_sample is None or len(a.per_sample) != len(b.per_sample):
        return None
    both = np.flatnonzero(~np.isnan(a.per_sample) & ~np.isnan(b.per_sample))
    first, second = (_all_pairs(select_samples(score, both)) for score in (a, b))
    if first is None or second is None:
        return None
    d = _estimate([second, first], level)
    return Difference(d.value, d.stderr, d.low, d.high, t_test(d), d.n)


def select_samples(score: Score, indices: np.ndarray) -> Score:
    """A score of these samples alone, in this order: values per sample, and shuffled pairs of two of them.

    Args:
        score: With values per sample.
        indices: (m,) int, each at most once.
    """
    assert score.per_sample is not None
    values = np.asarray(score.per_sample, np.float64)[indices]
    if score.shuffled is None:
        return replace(score, per_sample=values)
    place = np.full(len(score.per_sample), -1)
    place[indices] = np.arange(len(indices))
    first, second = place[score.shuffled.first], place[score.shuffled.second]
    there = (first >= 0) & (second >= 0)
    pairs = ShuffledPairs(first[there], second[there], score.shuffled.values[there])
    return replace(score, per_sample=values, shuffled=pairs)


_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray, float]  # first, second, residuals by weight, excess


def _all_pairs(score: Score) -> _Pairs | None:
    """True and shuffled pairs of a score, each with its part in the error of the excess."""
    if score.per_sample is None or score.shuffled is None:
        return None
    own = np.flatnonzero(~np.isnan(score.per_sample))
    kept = ~np.isnan(score.shuffled.values)
    true, other = np.asarray(score.per_sample, np.float64)[own], score.shuffled.values[kept]
    if not len(true) or not len(other):
        return None
    residuals = np.concatenate([(true - true.mean()) / len(true), (other.mean() - other) / len(other)])
    sides = (np.concatenate([own, side[kept]]) for side in (score.shuffled.first, score.shuffled.second))
    return *sides, residuals, float(true.mean() - other.mean())  # type: ignore[return-value]


def _estimate(terms: list[_Pairs], level: float) -> Estimate:
    """The first excess, less the second where there are two."""
    signs = (1.0, -1.0)[: len(terms)]
    value = sum(sign * term[3] for sign, term in zip(signs, terms, strict=True))
    first, second = (np.concatenate([term[k] for term in terms]) for k in (0, 1))
    residuals = np.concatenate([sign * term[2] for sign, term in zip(signs, terms, strict=True)])
    n = len(np.unique(first[first == second]))
    if n < 2:
        return Estimate(value, None, None, None, n)
    from scipy.special import stdtrit

    stderr = float(np.sqrt(_clustered_variance(first, second, residuals) * n / (n - 1)))
    margin = float(stdtrit(n - 1, (1 + level) / 2)) * stderr
    return Estimate(value, stderr, value - margin, value + margin, n)


def _clustered_variance(first: np.ndarray, second: np.ndarray, residuals: np.ndarray) -> float:
    """The sum of products of residuals over all pairs of pairs that share a clip.

    Shuffled pairs are in the sum of squares of both of their clips, and so subtracted once. Of two or three clips that
    can leave nothing; then they stay, for an error that is too wide.
    """
    mixed = first != second
    size = int(max(first.max(), second.max())) + 1
    by_clip = np.bincount(first, residuals, size) + np.bincount(second[mixed], residuals[mixed], size)
    names = np.minimum(first, second) * size + np.maximum(first, second)
    _, where = np.unique(names, return_inverse=True)
    twice = np.bincount(where[mixed], residuals[mixed])
    once, whole = float(by_clip @ by_clip - twice @ twice), float(by_clip @ by_clip)
    return once if once > 0 else whole
