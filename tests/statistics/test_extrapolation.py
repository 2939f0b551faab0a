"""Subsampling both sets removes the finite-sample bias; subsampling one does not."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.statistics.extrapolation import extrapolate, finite_sample_floor

D, N = 12, 200


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return frechet_distance(Moments.of(a.reshape(-1, D)), Moments.of(b.reshape(-1, D)), ddof=0)


def reference_fixed(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> float:
    """The intercept when only the generated set is subsampled, with replacement, as fadtk does."""
    sizes = np.linspace(50, N, 8).astype(int)
    values = [np.mean([distance(a[rng.integers(0, N, n)], b) for _ in range(10)]) for n in sizes]
    return float(np.polyfit(1 / sizes, values, 1)[1])


def test_bias_is_gone_on_identical_gaussians_only_when_both_sets_are_subsampled() -> None:
    rng = np.random.default_rng(0)
    plain, ours, fixed = [], [], []
    for seed in range(12):
        a, b = rng.normal(size=(2, N, D))
        plain.append(distance(a, b))
        ours.append(extrapolate(distance, a, b, repeats=5, seed=seed).value)
        fixed.append(reference_fixed(a, b, rng))
    error = np.std(ours, ddof=1) / np.sqrt(len(ours))
    assert np.mean(plain) > 0.3
    assert abs(np.mean(ours)) < 3 * error
    assert np.mean(fixed) > 0.25
    assert error < 0.04


def test_extrapolated_interval_covers_the_true_distance() -> None:
    rng = np.random.default_rng(1)
    truth = D * (0.2**2 + 0.3**2)  # mean 0.2, standard deviation 1.3 against 1
    covered = []
    for seed in range(120):
        a, b = 0.2 + 1.3 * rng.normal(size=(N, D)), rng.normal(size=(N, D))
        estimate = extrapolate(distance, a, b, parts=(1, 2, 3), repeats=6, seed=seed)
        covered.append(estimate.low <= truth <= estimate.high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_rows_of_a_clip_stay_together() -> None:
    rng = np.random.default_rng(2)
    by_clip, by_row = [], []
    for seed in range(10):
        a, b = rng.normal(size=(2, N, 1, D)) + 0.01 * rng.normal(size=(2, N, 2, D))  # two nearly equal rows a clip
        by_clip.append(extrapolate(distance, a, b, repeats=3, seed=seed).value)
        by_row.append(extrapolate(distance, a.reshape(-1, D), b.reshape(-1, D), repeats=3, seed=seed).value)
    error = np.std(by_clip, ddof=1) / np.sqrt(10)
    assert abs(np.mean(by_clip)) < 3 * error
    assert np.mean(by_row) > 5 * error  # as if there were twice as many samples


def test_points_are_kept_and_seeded() -> None:
    a, b = np.random.default_rng(3).normal(size=(2, N, D))
    estimate = extrapolate(distance, a, b)
    assert [k for k, _ in estimate.points] == [1, 2, 3, 4]
    assert estimate.points[0][1] == pytest.approx(distance(a, b))
    assert estimate == extrapolate(distance, a, b)
    assert estimate != extrapolate(distance, a, b, seed=1)


def test_too_few_rows_are_refused() -> None:
    x = np.zeros((4 * D, D))
    with pytest.raises(MMBenchError, match="12 rows for 12 dimensions"):
        extrapolate(distance, x, np.zeros((100, D)))
    with pytest.raises(ValueError, match="expected 1 and 2"):
        extrapolate(distance, x, x, parts=(1, 3))


def test_floor_is_the_distance_of_equal_sets() -> None:
    rng = np.random.default_rng(3)
    floor = finite_sample_floor(distance, rng.normal(size=(2 * N, D)), splits=8)
    fresh = [distance(*rng.normal(size=(2, N, D))) for _ in range(40)]
    assert floor.n == N
    assert floor.value == pytest.approx(np.mean(fresh), abs=3 * np.std(fresh))
    assert 0.3 * np.std(fresh) < floor.stderr < 3 * np.std(fresh)
    assert finite_sample_floor(distance, rng.normal(size=(2 * N + 1, D)), splits=1).stderr is None
    with pytest.raises(MMBenchError, match="3 real clips"):
        finite_sample_floor(distance, np.zeros((3, D)))
