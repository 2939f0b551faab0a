"""Kernel distances: unbiased, symmetric, bandwidth of the reference, replicates that resample rows."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.kernel import (
    kad,
    kid,
    median_distance,
    mmd2,
    mmd2_replicates,
    polynomial_distance,
    polynomial_kernel,
    radial_kernel,
)
from mmbench.statistics.estimates import resample_indices


def test_unbiased_on_equal_distributions_and_so_sometimes_negative() -> None:
    rng = np.random.default_rng(0)
    values = np.array([polynomial_distance(rng.normal(size=(30, 5)), rng.normal(size=(20, 5))) for _ in range(300)])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert values.min() < 0


def test_same_expectation_at_every_n() -> None:
    rng = np.random.default_rng(1)
    means = [
        np.mean([kad(rng.normal(0.4, 1, (n, 3)), rng.normal(size=(n, 3)), bandwidth=2.0) for _ in range(200)])
        for n in (10, 100)
    ]
    assert means[0] == pytest.approx(means[1], rel=0.15)
    assert means[1] > 1


def test_mmd2_is_the_mean_over_distinct_pairs() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(4, 2)), rng.normal(size=(3, 2))

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / 2 + 1) ** 3

    want = (
        np.mean([k(x[i], x[j]) for i in range(4) for j in range(4) if i != j])
        + np.mean([k(y[i], y[j]) for i in range(3) for j in range(3) if i != j])
        - 2 * np.mean([k(a, b) for a in x for b in y])
    )
    assert polynomial_distance(x, y) == pytest.approx(want)
    assert polynomial_distance(y, x) == pytest.approx(want)


@pytest.mark.parametrize(("kind", "value"), [("gaussian", np.exp(-2)), ("iq", 1 / 3), ("imq", 3**-0.5)])
def test_radial_kernels(kind: str, value: float) -> None:
    x, y = np.array([[0.0, 0.0]]), np.array([[6.0, 8.0]])
    assert radial_kernel(x, y, 5.0, kind)[0, 0] == pytest.approx(value)  # u = 100 / 50


def test_bandwidth_is_the_lower_median_distance_of_the_reference() -> None:
    assert median_distance(np.array([[0.0], [1.0], [4.0], [9.0]])) == 4.0  # of 1 3 4 5 8 9
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(20, 4)), 3 * rng.normal(size=(25, 4))
    assert kad(x, y) == kad(x, y, median_distance(y))
    assert kad(x, y) != pytest.approx(kad(y, x))


def test_replicates_equal_the_mean_over_distinct_rows() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(12, 3)), rng.normal(0.5, 1, size=(15, 3))
    k_xx, k_yy, k_xy = polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y)
    once = mmd2_replicates(k_xx, k_yy, k_xy, np.arange(12)[None])
    assert once[0] == pytest.approx(mmd2(k_xx, k_yy, k_xy))
    drawn = resample_indices(12, 1, seed=0)
    i = drawn[0]
    distinct = i[:, None] != i[None, :]
    want = k_xx[np.ix_(i, i)][distinct].mean() + mmd2(np.zeros((2, 2)), k_yy, np.zeros((2, 15))) - 2 * k_xy[i].mean()
    assert mmd2_replicates(k_xx, k_yy, k_xy, drawn)[0] == pytest.approx(want)


def test_bootstrap_error_is_the_scatter_of_the_distance() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(size=(100, 4))
    values, errors = [], []
    for seed in range(60):
        x = rng.normal(0.5, 1, size=(80, 4))
        k_xx, k_yy, k_xy = polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y)
        values.append(mmd2(k_xx, k_yy, k_xy))
        errors.append(mmd2_replicates(k_xx, k_yy, k_xy, resample_indices(80, 300, seed)).std())
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_kid_lowers_its_subsets_to_the_sets() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
    assert kid(x, y, 5, 1000) == kid(x, y, 5, 20)
    mean, scatter = kid(x, x + 0.3, 3, 30)
    assert mean == pytest.approx(polynomial_distance(x, x + 0.3))
    assert scatter == pytest.approx(0, abs=1e-12)  # the whole set every time


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: polynomial_distance(x[:1], x), "two rows on each side"),
        (lambda x: median_distance(np.ones((4, 2))), "undefined or zero"),
        (lambda x: kad(x, x[:1]), "undefined or zero"),
        (lambda x: kid(np.where(x > 1, np.nan, x), x), "NaN or infinity"),
    ],
)
def test_impossible_distances_are_refused(call: object, message: str) -> None:
    x = np.random.default_rng(7).normal(size=(9, 2))
    x[0] = 2.0
    with pytest.raises(MMBenchError, match=message):
        call(x)
