"""The Fréchet distance against closed forms and the matrix square root, in ugly cases, and its bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import special_ortho_group

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.metrics.arithmetic.frechet import Moments, factor, frechet_distance, frechet_replicates
from mmbench.statistics.estimates import bootstrap_estimate, resample_indices
from mmbench.statistics.paired import paired_difference
from mmbench.types import Score


def distance(a: np.ndarray, b: np.ndarray, ddof: int = 0) -> float:
    return frechet_distance(Moments.of(a), Moments.of(b), ddof)


def population(mean: float, deviations: np.ndarray, ddof: int = 0) -> Moments:
    return Moments(1 + ddof, np.full(len(deviations), mean), np.diag(deviations**2))


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(90, 12)) @ rng.normal(size=(12, 12)), rng.normal(0.3, 1, size=(70, 12))


def test_one_dimension_in_closed_form() -> None:
    a, b = np.array([[1.0], [2.0], [6.0]]), np.array([[0.0], [4.0]])
    want = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert distance(a, b, ddof=1) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("ddof", [0, 1])
def test_agrees_with_the_matrix_square_root(sets: tuple[np.ndarray, np.ndarray], ddof: int) -> None:
    a, b = sets
    s, t = np.cov(a.T, ddof=ddof), np.cov(b.T, ddof=ddof)
    want = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert distance(a, b, ddof) == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("case", ["plain", "n < d", "dead columns", "large mean", "one clip", "constant"])
def test_identity_is_zero(sets: tuple[np.ndarray, np.ndarray], case: str) -> None:
    x = {
        "plain": sets[0],
        "n < d": sets[0][:7],
        "dead columns": sets[0] * (np.arange(12) % 3 > 0),
        "large mean": sets[0] + 1e6,
        "one clip": sets[0][:1],
        "constant": np.ones((5, 12)),
    }[case]
    moments = Moments.of(x)
    shuffled = Moments.of(x[np.random.default_rng(1).permutation(len(x))])
    limit = 1e-9 * np.trace(moments.covariance(0))
    assert 0 <= frechet_distance(moments, moments, 0) <= limit
    assert frechet_distance(moments, shuffled, 0) <= max(limit, 1e-7 * (case == "large mean"))


def test_singular_sets_in_orthogonal_planes_share_nothing() -> None:
    rng = np.random.default_rng(2)
    rotation = special_ortho_group.rvs(40, random_state=2)
    a, b = np.zeros((9, 40)), np.zeros((11, 40))
    a[:, :20], b[:, 20:] = rng.normal(size=(9, 20)), rng.normal(size=(11, 20))
    want = np.sum((a.mean(0) - b.mean(0)) ** 2) + a.var(0).sum() + b.var(0).sum()
    assert distance(a @ rotation, b @ rotation) == pytest.approx(want, rel=1e-12)


def test_one_clip_against_a_set_is_its_distance_to_the_mean_plus_the_spread(
    sets: tuple[np.ndarray, np.ndarray],
) -> None:
    a, b = sets
    want = np.sum((a[0] - b.mean(0)) ** 2) + b.var(0).sum()
    assert distance(a[:1], b) == pytest.approx(want, rel=1e-12)


def test_symmetries(sets: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = sets
    rng, want = np.random.default_rng(3), distance(*sets)
    rotation = special_ortho_group.rvs(12, random_state=3)
    assert distance(b, a) == pytest.approx(want, rel=1e-12)
    assert distance(a[rng.permutation(len(a))], b) == pytest.approx(want, rel=1e-12)
    assert distance(a + 100, b + 100) == pytest.approx(want, rel=1e-10)
    assert distance(a @ rotation, b @ rotation) == pytest.approx(want, rel=1e-12)
    assert distance(3 * a, 3 * b) == pytest.approx(9 * want, rel=1e-12)
    assert distance(a + np.eye(12)[0], a) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "ddof", "message"),
    [
        (np.array([[1.0, np.nan], [0.0, 1.0]]), np.eye(2), 0, r"1 of 2 feature rows .* first is row 0"),
        (np.eye(2), np.array([[1.0, 0.0], [np.inf, 1.0]]), 0, "first is row 1"),
        (np.empty((0, 2)), np.eye(2), 0, r"shape \(0, 2\)"),
        (np.ones(3), np.eye(3), 0, r"shape \(3,\)"),
        (np.eye(2), np.eye(3), 0, "2 and of 3 dimensions"),
        (np.ones((1, 2)), np.eye(2), 1, "ddof 1 was asked of 1"),
    ],
)
def test_what_has_no_distance_is_refused(a: np.ndarray, b: np.ndarray, ddof: int, message: str) -> None:
    with pytest.raises(MMBenchError, match=message):
        distance(a, b, ddof)


def test_moments_merge_count_and_survive_storage(sets: tuple[np.ndarray, np.ndarray]) -> None:
    x = sets[0] + 1e4
    whole, merged = Moments.of(x), Moments.of(x[:13]).merge(Moments.of(x[13:]))
    counted = Moments.of(x, np.arange(90) % 3)
    for got, want in [
        (merged, whole),
        (Moments.from_arrays(whole.arrays()), whole),
        (counted, Moments.of(np.repeat(x, np.arange(90) % 3, axis=0))),
    ]:
        assert got.n == want.n
        np.testing.assert_allclose(got.mean, want.mean, rtol=1e-14)
        np.testing.assert_allclose(got.scatter, want.scatter, atol=1e-9 * np.trace(want.scatter))
    np.testing.assert_allclose(whole.covariance(1), np.cov(sets[0].T), rtol=1e-6)  # one-pass sums would lose 8 digits


def test_factor_has_the_rank_of_the_covariance(sets: tuple[np.ndarray, np.ndarray]) -> None:
    for rows, rank in [(90, 12), (5, 4)]:
        covariance = Moments.of(sets[0][:rows]).covariance(0)
        f = factor(covariance)
        assert f.shape == (12, rank)
        np.testing.assert_allclose(f @ f.T, covariance, atol=1e-12 * np.trace(covariance))


@pytest.mark.parametrize("rows", [90, 8])
@pytest.mark.parametrize("ddof", [0, 1])
def test_replicates_equal_recomputation(sets: tuple[np.ndarray, np.ndarray], rows: int, ddof: int) -> None:
    a, b = sets[0][:rows], sets[1]
    indices = resample_indices(rows, 20, seed=4)
    want = [distance(a[i], b, ddof) for i in indices]
    np.testing.assert_allclose(frechet_replicates(a, Moments.of(b), indices, ddof), want, rtol=1e-9)
    everything_once = np.arange(rows)[None]
    np.testing.assert_allclose(
        frechet_replicates(a, Moments.of(b), everything_once, ddof), distance(a, b, ddof), rtol=1e-9
    )


def test_rows_of_a_clip_are_drawn_together(sets: tuple[np.ndarray, np.ndarray]) -> None:
    clips = np.sort(np.random.default_rng(5).integers(0, 30, 90))
    clips[[0, -1]] = 0, 29
    indices = resample_indices(30, 5, seed=5)
    want = [distance(sets[0][np.concatenate([np.flatnonzero(clips == c) for c in i])], sets[1], 1) for i in indices]
    got = frechet_replicates(sets[0], Moments.of(sets[1]), indices, 1, clips)
    np.testing.assert_allclose(got, want, rtol=1e-9)


D, N = 8, 160
SPREAD = np.arange(1, D + 1) ** -0.75  # spectra of real features fall off like this or faster


@pytest.mark.e2e
def test_basic_interval_covers_the_truth_where_percentiles_exclude_even_the_value() -> None:
    rng = np.random.default_rng(6)
    reference = Moments.of(rng.normal(size=(300, D)) * SPREAD)
    truth = frechet_distance(population(0.12, 1.15 * SPREAD), reference, 0)
    basic, percentile, excluded = [], [], []
    for seed in range(150):
        x = 0.12 + rng.normal(size=(N, D)) * SPREAD * 1.15
        value = frechet_distance(Moments.of(x), reference, 0)
        replicates = frechet_replicates(x, reference, resample_indices(N, 150, seed), 0)
        interval = bootstrap_estimate(value, replicates, N)
        low, high = np.quantile(replicates, [0.025, 0.975])
        basic.append(interval.low <= truth <= interval.high)
        percentile.append(low <= truth <= high)
        low, high = np.quantile(replicates, [0.16, 0.84])
        excluded.append(not low <= value <= high)
    assert 0.92 <= np.mean(basic) <= 0.98
    assert np.mean(percentile) < 0.85
    assert np.mean(excluded) > 0.2


def test_percentiles_exclude_the_value_when_n_is_a_few_times_d() -> None:
    rng = np.random.default_rng(7)
    x, reference = rng.normal(size=(90, 30)), Moments.of(rng.normal(size=(400, 30)))
    value = frechet_distance(Moments.of(x), reference, 0)
    replicates = frechet_replicates(x, reference, resample_indices(90, 200, 7), 0)
    assert value < replicates.min()
    assert bootstrap_estimate(value, replicates, 90).high < value


@pytest.mark.e2e
def test_intervals_of_rows_that_come_in_clips_need_the_clips() -> None:
    rng = np.random.default_rng(8)
    reference = Moments.of(rng.normal(size=(300, D)) * SPREAD)
    truth = frechet_distance(population(0.2, SPREAD, ddof=1), reference, 1)
    clips = np.repeat(np.arange(N), 2)
    values, clustered, naive, covered = [], [], [], []
    for seed in range(120):
        rows = np.repeat(rng.normal(size=(N, D)), 2, axis=0) * 0.9**0.5 + rng.normal(size=(2 * N, D)) * 0.1**0.5
        x = 0.2 + rows * SPREAD
        values.append(frechet_distance(Moments.of(x), reference, 1))
        by_clip = frechet_replicates(x, reference, resample_indices(N, 120, seed), 1, clips)
        interval = bootstrap_estimate(values[-1], by_clip, N)
        covered.append(interval.low <= truth <= interval.high)
        clustered.append(interval.stderr)
        naive.append(frechet_replicates(x, reference, resample_indices(2 * N, 40, seed), 1).std(ddof=1))
    assert 0.9 <= np.mean(covered) <= 0.99
    assert np.mean(clustered) == pytest.approx(np.std(values), rel=0.15)
    assert np.mean(naive) < 0.8 * np.mean(clustered)


@pytest.mark.e2e
def test_paired_difference_of_distances_covers_and_is_tighter_than_either_error() -> None:
    rng = np.random.default_rng(9)
    reference = Moments.of(rng.normal(size=(300, D)) * SPREAD)
    means = 0.15, 0.25
    truth = np.diff([frechet_distance(population(m, SPREAD), reference, 0) for m in means])[0]
    covered, ratio = [], []
    for seed in range(150):
        noise, scores = rng.normal(size=(N, D)), []
        for mean in means:
            x = mean + (0.95 * noise + (1 - 0.95**2) ** 0.5 * rng.normal(size=(N, D))) * SPREAD
            value = frechet_distance(Moments.of(x), reference, 0)
            replicates = frechet_replicates(x, reference, resample_indices(N, 120, seed), 0)
            scores.append(Score(value, float(replicates.std(ddof=1)), N, replicates=replicates))
        difference = paired_difference(*scores)
        covered.append(difference.low <= truth <= difference.high)
        ratio.append(difference.stderr / np.hypot(scores[0].stderr, scores[1].stderr))
    assert 0.92 <= np.mean(covered) <= 0.98
    assert np.mean(ratio) < 0.6


def test_features_that_are_all_equal_have_a_distance_and_no_scatter() -> None:
    same, other = np.full((6, 4), 2.0), np.zeros((6, 4))
    indices = resample_indices(6, 20, 0)
    found = frechet_replicates(same, Moments.of(other), indices, 0)
    np.testing.assert_allclose(found, 16.0)
    assert frechet_distance(Moments.of(same), Moments.of(other), 0) == pytest.approx(16.0)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.array([np.nan, 0.0])},
        {"mean": np.array([np.inf, 0.0])},
        {"scatter": np.array([[np.nan, 0.0], [0.0, 1.0]])},
        {"scatter": np.array([[1.0, 0.5], [0.0, 1.0]])},
        {"scatter": np.array([[-1.0, 0.0], [0.0, 1.0]])},
        {"scatter": np.ones((3, 3))},
        {"n": np.array(1)},
        {"n": np.array(-5)},
    ],
)
def test_what_are_no_moments_gives_no_distance(change: dict[str, np.ndarray]) -> None:
    whole = {"n": np.array(4), "mean": np.zeros(2), "scatter": np.eye(2)}
    assert Moments.from_arrays(whole).n == 4
    with pytest.raises(IntegrityError, match="statistics of the real clips are damaged"):
        Moments.from_arrays(whole | change)
