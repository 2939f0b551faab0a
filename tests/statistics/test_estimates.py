"""Intervals cover what they claim, pairs are paired, and impossible questions are refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mmbench.errors import MMBenchError
from mmbench.statistics.estimates import bootstrap_estimate, mean_estimate, resample_indices
from mmbench.statistics.paired import holm, paired_difference
from mmbench.statistics.planning import plan
from mmbench.statistics.shuffled import derangements, shuffled_baseline, shuffled_pairs
from mmbench.types import Score


def per_sample(values: np.ndarray) -> Score:
    return Score(float(np.nanmean(values)), None, int(np.sum(~np.isnan(values))), per_sample=np.asarray(values))


def set_score(value: float, replicates: np.ndarray, n: int) -> Score:
    return Score(value, float(np.std(replicates, ddof=1)), n, replicates=np.asarray(replicates))


def test_mean_estimate_is_scipys_t_interval_over_what_is_scored() -> None:
    x = np.array([0.3, np.nan, 0.9, 0.4, np.nan, 0.8])
    scored = x[~np.isnan(x)]
    estimate = mean_estimate(x, level=0.9)
    assert estimate.n == 4
    assert estimate.stderr == pytest.approx(stats.sem(scored))
    want = stats.t.interval(0.9, 3, scored.mean(), stats.sem(scored))
    assert (estimate.low, estimate.high) == pytest.approx(want)


def test_mean_of_fewer_than_two_values_has_no_error() -> None:
    one = mean_estimate(np.array([np.nan, 0.5]))
    assert (one.value, one.stderr, one.low, one.high, one.n) == (0.5, None, None, None, 1)
    none = mean_estimate(np.array([np.nan]))
    assert np.isnan(none.value)
    assert none.n == 0


@pytest.mark.parametrize("skewed", [False, True])
def test_mean_interval_covers_the_mean(skewed: bool) -> None:
    rng = np.random.default_rng(0)
    draws = rng.beta(1, 3, (2000, 30)) if skewed else rng.normal(0.25, 1, (2000, 30))
    estimates = [mean_estimate(x) for x in draws]
    coverage = np.mean([e.low <= 0.25 <= e.high for e in estimates])
    assert 0.935 <= coverage <= 0.965  # standard error 0.005


def test_paired_difference_is_scipys_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=40)
    b = a + 0.1 + 0.2 * rng.normal(size=40)
    a[3], b[7] = np.nan, np.nan
    difference = paired_difference(per_sample(a), per_sample(b))
    both = ~np.isnan(a) & ~np.isnan(b)
    want = stats.ttest_rel(b[both], a[both])
    assert difference.n == 38
    assert difference.value == pytest.approx(np.mean(b[both] - a[both]))
    assert difference.p_value == pytest.approx(want.pvalue)
    assert (difference.low, difference.high) == pytest.approx(tuple(want.confidence_interval(0.95)))


def test_paired_interval_covers_and_is_narrower_than_the_unpaired_one() -> None:
    rng = np.random.default_rng(2)
    covered, narrower = [], []
    for _ in range(1000):
        a = rng.normal(size=25)
        b = a + 0.5 + 0.3 * rng.normal(size=25)
        d = paired_difference(per_sample(a), per_sample(b))
        covered.append(d.low <= 0.5 <= d.high)
        narrower.append(d.stderr < np.hypot(mean_estimate(a).stderr, mean_estimate(b).stderr))
    assert 0.93 <= np.mean(covered) <= 0.97
    assert all(narrower)


def test_a_constant_difference_is_certain_and_none_is_not() -> None:
    a = np.array([0.25, 0.5, 0.75])
    assert paired_difference(per_sample(a), per_sample(a + 1.0)).p_value == 0.0
    assert paired_difference(per_sample(a), per_sample(a)).p_value == 1.0


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (per_sample(np.ones(3)), per_sample(np.ones(4)), "3 samples, the other 4"),
        (set_score(1.0, np.arange(5.0), 9), set_score(1.0, np.arange(6.0), 9), "cannot be paired"),
        (set_score(1.0, np.arange(5.0), 9), set_score(1.0, np.arange(5.0), 8), "cannot be paired"),
        (per_sample(np.ones(3)), set_score(1.0, np.arange(5.0), 3), "neither"),
        (Score(1.0, None, 3), Score(1.0, None, 3), "neither"),
    ],
)
def test_what_is_not_of_the_same_samples_is_refused(a: Score, b: Score, message: str) -> None:
    with pytest.raises(MMBenchError, match=message):
        paired_difference(a, b)


def test_bootstrap_of_a_deviation_covers_it() -> None:
    rng = np.random.default_rng(3)
    covered = []
    for seed in range(300):
        x = rng.normal(size=150)
        estimate = bootstrap_estimate(float(x.std()), x[resample_indices(150, 400, seed)].std(axis=1), 150)
        covered.append(estimate.low <= 1 <= estimate.high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_basic_interval_reflects_the_percentiles_about_the_value() -> None:
    replicates = np.linspace(1.0, 3.0, 1001)  # all above the value: biased up
    estimate = bootstrap_estimate(1.0, replicates, 50)
    assert (estimate.low, estimate.high) == pytest.approx((2 - 2.95, 2 - 1.05))
    assert bootstrap_estimate(1.0, np.array([1.0]), 50).stderr is None


def test_set_difference_excludes_zero_exactly_where_p_is_small() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(size=999)
    for value in np.linspace(0, 4, 41):
        a, b = set_score(10.0, 10 + 0 * noise, 99), set_score(10 + value, 10 + value + 0.2 + noise, 99)
        d = paired_difference(a, b)
        inside = d.low <= 0 <= d.high
        assert inside == (d.p_value > 0.05) or abs(d.p_value - 0.05) < 0.006  # quantiles interpolate


def test_shared_resamplings_cancel_what_is_common() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=200)
    drawn = x[resample_indices(200, 500, 7)].mean(axis=1)
    a, b = set_score(x.mean(), drawn, 200), set_score(x.mean() + 0.01, drawn + 0.01, 200)
    d = paired_difference(a, b)
    assert d.stderr < 1e-12
    assert a.stderr > 0.05
    assert d.value == pytest.approx(0.01)
    assert d.p_value < 0.01


def test_resamplings_depend_on_n_and_seed_alone() -> None:
    first = resample_indices(20, 5, 1)
    assert first.shape == (5, 20)
    assert np.array_equal(first, resample_indices(20, 5, 1))
    assert np.array_equal(first, resample_indices(20, 9, 1)[:5])  # more replicates extend fewer
    assert not np.array_equal(first, resample_indices(20, 5, 2))


def test_holm_known_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match=r"expected numbers in \[0, 1\]"):
        holm([0.1, float("nan")])


@pytest.mark.parametrize("n", [2, 3, 10, 101])
def test_derangements_move_everything(n: int) -> None:
    found = derangements(n, 50, seed=0)
    assert found.shape == (50, n)
    assert np.array_equal(np.sort(found, axis=1), np.tile(np.arange(n), (50, 1)))
    assert not np.any(found == np.arange(n))
    assert np.array_equal(found, derangements(n, 50, seed=0))


def test_derangements_are_uniform_and_one_clip_has_none() -> None:
    _, counts = np.unique(derangements(4, 9000, seed=1), axis=0, return_counts=True)
    assert len(counts) == 9
    assert stats.chisquare(counts).pvalue > 0.01
    assert derangements(1, 5, seed=0).shape == (0, 1)


def test_shuffled_baseline_error_counts_both_sides() -> None:
    rng = np.random.default_rng(6)
    means, errors, naive = [], [], []
    for seed in range(300):
        video, audio, both = rng.normal(size=40), rng.normal(size=40), rng.normal(size=(40, 40))
        estimate = shuffled_baseline(
            shuffled_pairs(lambda i, j, v=video, a=audio, e=both: v[i] + a[j] + e[i, j], range(40), 10, seed)
        )
        means.append(estimate.value)
        errors.append(estimate.stderr)
        naive.append(np.sqrt(3 / 400))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)
    assert np.mean(naive) < 0.5 * np.std(means)  # treating the 400 pairs as independent would be wrong


def test_shuffled_baseline_leaves_out_undefined_pairs() -> None:
    estimate = shuffled_baseline(shuffled_pairs(lambda i, j: float("nan") if i == 0 else 1.0, range(5)))
    assert (estimate.value, estimate.stderr) == (1.0, 0.0)
    assert shuffled_baseline(shuffled_pairs(lambda i, j: float("nan"), range(5))).stderr is None
    assert shuffled_baseline(shuffled_pairs(lambda i, j: 1.0, [0])).n == 0


@pytest.mark.parametrize(("sd", "effect"), [(1.0, 1.0), (1.0, 0.3), (20.0, 11.0)])
def test_planned_samples_have_the_planned_power(sd: float, effect: float) -> None:
    n = plan(sd / np.sqrt(50), 50, effect, power=0.8).needed
    x = np.random.default_rng(7).normal(effect, sd, (4000, n))
    assert np.mean(stats.ttest_1samp(x, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.02)


def test_plan_scales_with_the_root_of_n_and_refuses_nonsense() -> None:
    pilot = plan(10.0, 2048)
    assert pilot.needed is None
    assert pilot.detectable == pytest.approx(28.0, abs=0.1)  # (1.96 + 0.84) standard errors
    assert plan(10.0, 2048, pilot.detectable).needed == 2048
    assert plan(10.0, 2048, pilot.detectable / 2).needed == pytest.approx(4 * 2048, rel=1e-3)
    for stderr, n, effect in [(0.0, 10, 1.0), (1.0, 1, 1.0), (1.0, 10, -1.0), (float("nan"), 10, None)]:
        with pytest.raises(ValueError, match="expected a pilot"):
            plan(stderr, n, effect)


@pytest.mark.parametrize("beyond", [0, 3])
def test_bootstrap_p_counts_the_value_itself_among_the_replicates(beyond: int) -> None:
    """(tail + 1) / (replicates + 1), twice (Davison & Hinkley 1997, 4.11)."""
    value, noise = 2.0, np.concatenate([np.full(beyond, 2.5), np.linspace(-1.5, 1.5, 19 - beyond)])
    a, b = set_score(10.0, np.full(19, 10.0), 50), set_score(10.0 + value, 10.0 + value + noise, 50)
    p = paired_difference(a, b).p_value
    assert p == pytest.approx(2 * (beyond + 1) / 20, rel=1e-12)
    assert paired_difference(a, a).p_value == 1.0


def shuffled_by_hand(values: np.ndarray, partner: np.ndarray) -> float:
    """The variance of the mean over pairs, one covariance of pairs that share a clip at a time."""
    shuffles, n = partner.shape
    pairs = [(i, int(partner[k, i]), values[i, partner[k, i]]) for k in range(shuffles) for i in range(n)]
    assert len({(i, j) for i, j, _ in pairs}) == len(pairs), "no pair twice"
    mean = sum(value for *_, value in pairs) / len(pairs)
    clustered = sum((u - mean) * (v - mean) for i, j, u in pairs for k, m, v in pairs if i == k or j == m)
    independent = sum((u - mean) ** 2 for *_, u in pairs)
    return max(clustered, independent) / len(pairs) ** 2 * n / (n - 1)


@pytest.mark.parametrize("clustered", [True, False])
def test_shuffled_baseline_error_has_both_corrections(clustered: bool) -> None:
    """Of few clusters, n / (n - 1), and never less than independent values would have."""
    rng, n = np.random.default_rng(8), 12
    seed = next(s for s in range(99) if len({(i, j) for p in derangements(n, 3, s) for i, j in enumerate(p)}) == 3 * n)
    partner = derangements(n, 3, seed)
    if clustered:
        values = rng.normal(size=n)[:, None] + rng.normal(size=n)
    else:  # the pairs of each clip cancel, so that the clustered variance is the smaller one
        values = np.zeros((n, n))
        values[np.arange(n), partner[0]], values[np.arange(n), partner[1]] = 1.0, -1.0
    estimate = shuffled_baseline(shuffled_pairs(lambda i, j: values[i, j], range(n), 3, seed))
    assert estimate.stderr == pytest.approx(np.sqrt(shuffled_by_hand(values, partner)), rel=1e-12)
    margin = stats.t.ppf(0.975, n - 1) * estimate.stderr
    assert (estimate.low, estimate.high) == pytest.approx((estimate.value - margin, estimate.value + margin), rel=1e-12)


@pytest.mark.parametrize(("n", "least"), [(2, 0.5), (4, 0.125), (64, 2 / 101)])
def test_few_clips_cannot_make_a_distance_significant(n: int, least: float) -> None:
    """All resamplings of two clips may lie on one side of 0, at one chance in two."""
    replicates = np.linspace(0.9, 1.1, 100)
    assert paired_difference(set_score(0, 0 * replicates, n), set_score(1, replicates, n)).p_value == pytest.approx(
        least
    )
