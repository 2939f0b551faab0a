"""Paired excess: how far a metric of pairs is above the same clips with the sounds of other clips, and its error.

The value and its shuffled baseline are means over pairs of the same clips, so that their errors are not independent: a
lively clip raises both. A value of video i with sound j is fitted over the shuffled pairs as m + a_i + b_j, and clip i
contributes its own value less m + a_i + b_i, what its halves have with any other. The contributions' mean is the value
less the baseline, and they have little in common, so that their scatter gives its error (the Hájek projection of a
two-sample U-statistic; Hoeffding 1948, van der Vaart 1998, 12.2).

What the fit leaves over is noise of single pairs. Each shuffled pair adds it to two contributions, that of its video
and that of its sound, but once to their mean; of that noise, half is therefore taken from the variance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mmbench.statistics.estimates import Estimate
from mmbench.statistics.paired import Difference, t_test
from mmbench.types import Score, ShuffledPairs

ROUNDS, EXACT = 1000, 1e-12  # of the fit at most, and the relative change at which it ends


def estimate_excess(score: Score, level: float = 0.95) -> Estimate | None:
    """The value of a score less its shuffled baseline, with a t interval; None without pairs of both kinds.

    Args:
        score: With values per sample and shuffled pairs.
        level: Coverage of the interval.
    """
    fit = _fit(score)
    return None if fit is None else _estimate(fit.contributions, fit.noise, fit.pairs_per_clip, level)


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
    first, second = (_fit(select_samples(score, both)) for score in (a, b))
    if first is None or second is None:
        return None
    noise = {pair: -part for pair, part in first.noise.items()}
    for pair, part in second.noise.items():  # the same shuffles share noise, of both systems
        noise[pair] = noise.get(pair, 0.0) + part
    per_clip = min(first.pairs_per_clip, second.pairs_per_clip)
    d = _estimate(second.contributions - first.contributions, noise, per_clip, level)
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


@dataclass(frozen=True)
class _Fit:
    """Parts of clips fitted to shuffled pairs.

    Attributes:
        contributions: (n,) of the scored clips to the excess, which is their mean.
        noise: What of the baseline each pair of samples adds to it beyond the parts of its clips.
        pairs_per_clip: Shuffled pairs of each video, on average.
    """

    contributions: np.ndarray
    noise: dict[tuple[int, int], float]
    pairs_per_clip: float


def _fit(score: Score) -> _Fit | None:
    """Contributions of clips; None without values per sample, or without a shuffled pair."""
    if score.per_sample is None or score.shuffled is None:
        return None
    per_sample, shuffled = np.asarray(score.per_sample, np.float64), score.shuffled
    own, kept = np.flatnonzero(~np.isnan(per_sample)), ~np.isnan(shuffled.values)
    if not len(own) or not kept.any():
        return None
    size = len(per_sample)
    names, at, counts = np.unique(
        (shuffled.first * size + shuffled.second)[kept], return_index=True, return_counts=True
    )
    first, second, values = names // size, names % size, shuffled.values[kept][at]
    mean = float(np.average(values, weights=counts))
    by_first, by_second = _fit_parts(first, second, values - mean, counts, size)
    contributions = (per_sample - mean - by_first - by_second)[own]
    contributions += per_sample[own].mean() - mean - contributions.mean()  # where pairs are undefined, sides differ
    residuals = values - mean - by_first[first] - by_second[second]
    freedom = len(values) - 2 * len(own) + 1
    scale = np.sqrt(len(values) / freedom) if freedom > 0 else 0.0  # a fit to few pairs leaves too little over
    parts = scale * residuals * counts / counts.sum()
    noise = dict(zip(zip(first.tolist(), second.tolist(), strict=True), parts.tolist(), strict=True))
    return _Fit(contributions, noise, counts.sum() / len(own))


def _fit_parts(
    first: np.ndarray, second: np.ndarray, values: np.ndarray, counts: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The parts (size,) of first and of second clips that add up to the values, by weighted least squares.

    Either side is fitted in turn to what the other leaves over, until nothing changes.
    """
    by_first, by_second = np.zeros(size), np.zeros(size)
    weights = [np.maximum(np.bincount(side, counts, size), 1) for side in (first, second)]
    for _ in range(ROUNDS):
        by_first = np.bincount(first, counts * (values - by_second[second]), size) / weights[0]
        before, by_second = by_second, np.bincount(second, counts * (values - by_first[first]), size) / weights[1]
        if np.abs(by_second - before).max() <= EXACT * np.abs(values).max():
            break
    return by_first, by_second


def _estimate(
    contributions: np.ndarray, noise: dict[tuple[int, int], float], pairs_per_clip: float, level: float
) -> Estimate:
    """The mean of contributions, with the error that their scatter and the noise of pairs give.

    The noise that is in the scatter twice is at most 2 in K + 2 parts of it, for K pairs per clip, if a clip's own pair
    has as much noise as any; of few clips it may look like more.
    """
    n, value = len(contributions), float(contributions.mean())
    if n < 2:
        return Estimate(value, None, None, None, n)
    from scipy.special import stdtrit

    scatter = float(contributions.var(ddof=1)) / n
    twice = float(np.sum(np.square(list(noise.values()))))
    stderr = float(np.sqrt(scatter - min(twice, scatter / (pairs_per_clip + 2))))
    margin = float(stdtrit(n - 1, (1 + level) / 2)) * stderr
    return Estimate(value, stderr, value - margin, value + margin, n)
