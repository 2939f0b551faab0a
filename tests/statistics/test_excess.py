"""The paired excess has the error that it has: of clips that value and baseline share, and of the shuffles drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mmbench.statistics.estimates import mean_estimate
from mmbench.statistics.excess import estimate_excess, select_samples, subtract_excess
from mmbench.statistics.paired import paired_difference
from mmbench.statistics.shuffled import derangements, shuffled_pairs, shuffled_score
from mmbench.types import Score, ShuffledPairs

SHUFFLES = 8


def score_of(values: np.ndarray, samples: np.ndarray | None = None, seed: int = 0) -> Score:
    """The Score of a metric with value (i, j) of video i with sound j; all samples are scored by default."""
    n = len(values)
    scored = np.arange(n) if samples is None else samples
    own = np.full(n, np.nan)
    own[scored] = np.diag(values)[scored]
    partner = derangements(len(scored), SHUFFLES, seed)
    first, second = np.tile(scored, len(partner)), scored[partner.ravel()]
    return shuffled_score(own, ShuffledPairs(first, second, values[first, second]))


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two systems' metrics of n clips: a lively clip has much of everything, and the second's sounds fit better.

    A value is a part of the video, one of the sound and what they share; the excess is 1 and 2 on average.
    """
    lively, video, shared = rng.normal(size=(3, n, 1))
    out = []
    for gain in (1.0, 2.0):
        sound = 0.8 * lively + 0.5 * rng.normal(size=(n, 1))
        heard = shared if out else shared + 0.5 * rng.normal(size=(n, 1))
        out.append((lively + 0.3 * video) + sound.T + 0.3 * heard * shared.T + rng.normal(size=(n, n)))
        out[-1][np.diag_indices(n)] += gain - 0.3
    return out[0], out[1]


@pytest.mark.parametrize("n", [12, 40])
def test_intervals_cover_excess_and_difference_and_independence_would_not_do(n: int) -> None:
    rng = np.random.default_rng(0)
    found: list[tuple[float, ...]] = []
    for seed in range(400):
        a, b = (score_of(values, seed=seed) for values in draw(rng, n))
        excess, difference = estimate_excess(b), subtract_excess(a, b)
        covered = excess.low <= 2 <= excess.high, difference.low <= 1 <= difference.high
        independent = np.hypot(b.stderr, b.baseline_stderr)
        found.append((*covered, excess.value, excess.stderr, difference.value, difference.stderr, independent))
    table = np.array(found, float)
    assert table[:, 0].mean() == pytest.approx(0.95, abs=0.03)  # standard error 0.011
    assert table[:, 1].mean() == pytest.approx(0.95, abs=0.03)
    assert table[:, 3].mean() == pytest.approx(table[:, 2].std(), rel=0.1)
    assert table[:, 5].mean() == pytest.approx(table[:, 4].std(), rel=0.1)
    assert table[:, 6].mean() > 1.5 * table[:, 2].std()  # liveliness is in the value and in the baseline


def test_no_gain_of_pairing_is_found_where_there_is_none() -> None:
    """The second system's clips are livelier: its value is higher, and that of its shuffled pairs as much."""
    rng = np.random.default_rng(1)
    by_value, by_excess = [], []
    for seed in range(200):
        a, _ = draw(rng, 30)
        b = a + 0.5 + 0.3 * rng.normal(size=(30, 30))
        first, second = score_of(a, seed=seed), score_of(b, seed=seed)
        by_value.append(paired_difference(first, second).p_value < 0.05)
        by_excess.append(subtract_excess(first, second).p_value < 0.05)
    assert np.mean(by_value) > 0.95
    assert np.mean(by_excess) < 0.09  # standard error 0.015


def by_hand(score: Score) -> tuple[np.ndarray, float]:
    """Contributions and their noise by a dense least-squares fit over distinct pairs, one column per part of a clip."""
    n, pairs = len(score.per_sample), score.shuffled
    counts: dict[tuple[int, int], int] = {}
    values = {}
    for i, j, value in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.values.tolist(), strict=True):
        counts[i, j] = counts.get((i, j), 0) + 1
        values[i, j] = value
    rows, weights = np.zeros((len(counts), 2 * n)), np.sqrt(np.array(list(counts.values()), float))
    for row, (i, j) in zip(rows, counts, strict=True):
        row[i] = row[n + j] = 1.0
    y = np.array([values[pair] for pair in counts])
    parts = np.linalg.lstsq(rows * weights[:, None], y * weights, rcond=None)[0]
    left = (y - rows @ parts) * weights**2 / np.sum(weights**2)
    return score.per_sample - parts[:n] - parts[n:], np.sum(left**2) * len(y) / (len(y) - 2 * n + 1)


def test_error_is_that_of_contributions_less_noise_that_is_in_them_twice() -> None:
    n, rng = 30, np.random.default_rng(2)
    score = score_of(rng.normal(size=(n, n)) + 3 * rng.normal(size=n) + np.diag(rng.normal(size=n)))
    contributions, noise = by_hand(score)
    excess = estimate_excess(score)
    assert excess.value == pytest.approx(score.value - score.baseline)
    assert excess.value == pytest.approx(contributions.mean())
    assert noise < contributions.var(ddof=1) / n / (SHUFFLES + 2)
    assert excess.stderr == pytest.approx(np.sqrt(contributions.var(ddof=1) / n - noise), rel=1e-9)
    margin = stats.t.ppf(0.975, n - 1) * excess.stderr
    assert (excess.low, excess.high) == pytest.approx((excess.value - margin, excess.value + margin))


def test_parts_of_clips_change_no_error() -> None:
    """A metric that is higher for some videos, or for some sounds, has the same excess."""
    rng = np.random.default_rng(3)
    plain = rng.normal(size=(40, 40))
    shifted = plain + 50 * rng.normal(size=(40, 1)) + 50 * rng.normal(size=40)
    a, b = estimate_excess(score_of(plain)), estimate_excess(score_of(shifted))
    assert (a.value, a.stderr) == pytest.approx((b.value, b.stderr))


def test_difference_of_the_same_shuffles_is_the_excess_of_the_difference() -> None:
    a, b = draw(np.random.default_rng(4), 20)
    want, found = estimate_excess(score_of(b - a)), subtract_excess(score_of(a), score_of(b))
    assert (found.value, found.stderr, found.low) == pytest.approx((want.value, want.stderr, want.low))


def test_difference_is_over_samples_scored_in_both() -> None:
    a, b = draw(np.random.default_rng(5), 30)
    some, others = np.delete(np.arange(30), [3, 7]), np.delete(np.arange(30), [7, 12])
    found = subtract_excess(score_of(a, some), score_of(b, others))
    assert found.n == 27
    kept = np.delete(np.arange(30), [3, 7, 12])
    parts = []
    for score in (score_of(a, some), score_of(b, others)):
        pairs = score.shuffled
        inside = np.isin(pairs.first, kept) & np.isin(pairs.second, kept)
        parts.append(np.mean(score.per_sample[kept]) - np.mean(pairs.values[inside]))
    assert found.value == pytest.approx(parts[1] - parts[0])


def test_pairs_name_samples_by_their_place_in_the_run() -> None:
    samples = [2, 5, 6, 9]
    pairs = shuffled_pairs(lambda i, j: 10 * samples[i] + samples[j], samples, shuffles=3)
    assert pairs.values.tolist() == (10 * pairs.first + pairs.second).tolist()
    assert sorted(pairs.first.tolist()) == sorted(pairs.second.tolist()) == sorted(3 * samples)


def test_chosen_samples_keep_the_pairs_among_them() -> None:
    values, _ = draw(np.random.default_rng(6), 12)
    score, order = score_of(values), np.array([5, 2, 9])
    chosen = select_samples(score, order)
    assert chosen.per_sample.tolist() == np.diag(values)[order].tolist()
    for i, j, value in zip(chosen.shuffled.first, chosen.shuffled.second, chosen.shuffled.values, strict=True):
        assert values[order[i], order[j]] == value


def test_undefined_pairs_and_too_few_samples_have_no_error() -> None:
    values = np.random.default_rng(7).normal(size=(6, 6))
    values[0, 1:] = np.nan
    assert np.isfinite(estimate_excess(score_of(values)).stderr)
    own = np.diag(values)
    assert estimate_excess(Score(float(own.mean()), 0.1, 6, per_sample=own)) is None
    one = score_of(values, np.array([2]))
    assert (one.baseline, one.shuffled, estimate_excess(one)) == (None, None, None)
    assert subtract_excess(score_of(values), score_of(np.ones((5, 5)))) is None


@pytest.mark.parametrize("n", [2, 3])
def test_of_very_few_clips_the_error_is_not_nothing(n: int) -> None:
    values = np.random.default_rng(8).normal(size=(n, n))
    assert estimate_excess(score_of(values)).stderr > 0


def test_without_parts_of_clips_the_error_is_near_that_of_independent_values() -> None:
    values = np.random.default_rng(9).normal(size=(200, 200))
    independent = mean_estimate(np.diag(values)).stderr * np.sqrt(1 + 1 / SHUFFLES)
    assert estimate_excess(score_of(values)).stderr == pytest.approx(independent, rel=0.1)
