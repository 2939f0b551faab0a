"""KVD and KAD beside FVD and FAD: the whole sets' distance, an error that knows clips, and refusals that are None."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic import kernel
from mmbench.metrics.arithmetic.kernel import kernel_distance, median_distance, mmd2_jackknife, polynomial_kernel
from mmbench.metrics.bounce import FADBounce, FVDBounce
from mmbench.metrics.fad import FAD
from mmbench.metrics.fvd import FVD
from tests.reference.kernel import kad, kid, kvd, radial_kernel

METRICS = [
    (FVD(weights="random"), "kvd"),
    (FAD(weights="random"), "kad"),
    (FVDBounce(), "kvd"),
    (FADBounce(), "kad"),
]


def clips(n: int, seed: int, shift: float = 0.0, rows: int = 2) -> list[np.ndarray]:
    """n clips of (rows, 5) float32, at a large distance from the origin, rows of a clip alike."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.normal(shift, 1, (n, 1, 5)), rows, axis=1)
    return list((7 + shared + 0.3 * rng.normal(size=(n, rows, 5))).astype(np.float32))


def direct(kind: str, ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    distance = kvd if kind == "kvd" else kad
    return distance(np.concatenate(ours), np.concatenate(theirs))


@pytest.mark.parametrize("block", [1, 7, 512])
@pytest.mark.parametrize("kind", ["kvd", "kad"])
def test_equals_the_whole_kernel_matrices_however_it_is_cut(
    kind: Any, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "BLOCK", block)
    ours, theirs = clips(20, 0, 0.4), clips(15, 1)
    ours[3] = ours[3][:1]  # clips of different lengths
    found = kernel_distance(kind, ours, theirs)
    assert found[kind] == pytest.approx(direct(kind, ours, theirs), rel=1e-9)
    left_out = [direct_against(kind, ours[:i] + ours[i + 1 :], theirs) for i in range(20)]
    assert found[f"{kind}_stderr"] == pytest.approx(np.sqrt(19 * np.var(left_out)), rel=1e-7)


def direct_against(kind: str, ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    return direct(kind, ours, theirs)  # the bandwidth is the reference's, which stays whole


@pytest.mark.parametrize(("metric", "kind"), METRICS, ids=[m.name for m, _ in METRICS])
def test_stands_in_every_score(metric: Any, kind: str) -> None:
    (extractor,) = metric.extractors()
    rows = 1 if kind == "kvd" else 2
    ours, theirs = clips(12, 2, 0.5, rows), clips(9, 3, 0.0, rows)
    tables = [{extractor.name: [None, *({metric.feature: c} for c in side)]} for side in (ours, theirs)]
    details = metric.score(*tables, seed=0).details
    assert details[kind] == pytest.approx(direct(kind, ours, theirs), rel=1e-9)
    assert 0 < details[f"{kind}_stderr"] < abs(details[kind])
    if kind == "kad":
        assert details["kad_bandwidth"] == pytest.approx(median_distance(np.concatenate(theirs)))


@pytest.mark.parametrize(("metric", "kind"), METRICS, ids=[m.name for m, _ in METRICS])
def test_identical_sets_are_no_farther_than_nothing(metric: Any, kind: str) -> None:
    (extractor,) = metric.extractors()
    table = {extractor.name: [{metric.feature: c} for c in clips(10, 4)]}
    score = metric.score(table, table, seed=0)
    assert score.value == pytest.approx(0, abs=1e-7)
    assert score.details[kind] <= 0  # rows paired with themselves pull an unbiased estimate below zero
    assert math.isfinite(score.details[kind])
    assert math.isfinite(score.details[f"{kind}_stderr"])


@pytest.mark.parametrize(("metric", "kind"), METRICS, ids=[m.name for m, _ in METRICS])
@pytest.mark.parametrize(("n", "m"), [(1, 5), (5, 1), (0, 5), (1, 1)])
def test_one_clip_has_neither_distance(metric: Any, kind: str, n: int, m: int) -> None:
    (extractor,) = metric.extractors()
    ours, theirs = ({extractor.name: [{metric.feature: c} for c in clips(k, k)]} for k in (n, m))
    score = metric.score(ours, theirs, seed=0)
    assert math.isnan(score.value)
    assert score.num_scored == 0
    assert kind not in score.details


def test_what_is_undefined_is_none() -> None:
    two = kernel_distance("kvd", clips(2, 0, rows=1), clips(5, 1))
    assert two["kvd"] is not None
    assert two["kvd_stderr"] is None  # without one of two rows, no pair is left
    constant = kernel_distance("kad", clips(5, 0), [np.ones((2, 5))] * 4)
    assert constant == {"kad": None, "kad_stderr": None, "kad_bandwidth": None}


def test_the_error_is_the_scatter_of_the_distance_and_knows_clips() -> None:
    theirs = np.concatenate(clips(100, 5)).astype(np.float64)
    found = [mmd2_jackknife(clips(60, seed, 0.5), theirs, polynomial_kernel) for seed in range(100)]
    values, errors = np.array(found, float).T
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)
    doubled = [np.repeat(c, 2, axis=0) for c in clips(60, 0, 0.5)]
    _, once = mmd2_jackknife(clips(60, 0, 0.5), theirs, polynomial_kernel)
    _, twice = mmd2_jackknife(doubled, theirs, polynomial_kernel)
    assert twice == pytest.approx(once, rel=0.05)


def test_a_large_reference_gives_its_bandwidth_from_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MEDIAN_ROWS", 10)
    ours, theirs = clips(6, 6), clips(10, 7, rows=2)
    found = kernel_distance("kad", ours, theirs)
    every_other = np.concatenate(theirs)[np.linspace(0, 19, 10).round().astype(int)]
    assert found["kad_bandwidth"] == pytest.approx(median_distance(every_other))
    bandwidth = median_distance(every_other)
    assert found["kad"] == pytest.approx(kad(np.concatenate(ours), np.concatenate(theirs), bandwidth), rel=1e-9)


def value(kind: Any, x: np.ndarray, y: np.ndarray) -> float:
    """The distance of two sets of clips of one row each."""
    found = kernel_distance(kind, list(x[:, None]), list(y[:, None]))[kind]
    assert found is not None
    return found


def test_unbiased_on_equal_distributions_and_so_sometimes_negative() -> None:
    rng = np.random.default_rng(0)
    values = np.array([value("kvd", rng.normal(size=(30, 5)), rng.normal(size=(20, 5))) for _ in range(300)])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert values.min() < 0


def test_same_expectation_at_every_n() -> None:
    rng = np.random.default_rng(1)
    means = [
        np.mean([value("kvd", rng.normal(0.4, 1, (n, 3)), rng.normal(size=(n, 3))) for _ in range(400)])
        for n in (10, 100)
    ]
    assert means[0] == pytest.approx(means[1], rel=0.15)
    assert means[1] > 0.5


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
    assert value("kvd", x, y) == pytest.approx(want)
    assert value("kvd", y, x) == pytest.approx(want)


def test_bandwidth_is_the_lower_median_distance_of_the_reference() -> None:
    assert median_distance(np.array([[0.0], [1.0], [4.0], [9.0]])) == 4.0  # of 1 3 4 5 8 9
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(20, 4)), 3 * rng.normal(size=(25, 4))
    assert value("kad", x, y) == pytest.approx(kad(x, y, median_distance(y)), rel=1e-9)
    assert value("kad", x, y) != pytest.approx(value("kad", y, x))


@pytest.mark.parametrize(("kind", "expected"), [("gaussian", np.exp(-2)), ("iq", 1 / 3), ("imq", 3**-0.5)])
def test_radial_kernels(kind: Any, expected: float) -> None:
    x, y = np.array([[0.0, 0.0]]), np.array([[6.0, 8.0]])
    assert radial_kernel(x, y, 5.0, kind)[0, 0] == pytest.approx(expected)  # u = 100 / 50
    if kind == "gaussian":
        assert kernel.gaussian_kernel(x, y, x[0] - 1, 5.0)[0, 0] == pytest.approx(expected)


def test_kid_lowers_its_subsets_to_the_sets() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
    assert kid(x, y, 5, 1000) == kid(x, y, 5, 20)
    mean, scatter = kid(x, x + 0.3, 3, 30)
    assert mean == pytest.approx(value("kvd", x, x + 0.3))
    assert scatter == pytest.approx(0, abs=1e-12)  # the whole set every time


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: mmd2_jackknife([x[:1]], x, polynomial_kernel), "two rows on each side"),
        (lambda x: median_distance(np.ones((4, 2))), "undefined or zero"),
        (lambda x: kernel_distance("kvd", [np.where(x > 1, np.nan, x)], [x]), "NaN or infinity"),
    ],
)
def test_impossible_distances_are_refused(call: Any, message: str) -> None:
    x = np.random.default_rng(7).normal(size=(9, 2))
    x[0] = 2.0
    with pytest.raises(MMBenchError, match=message):
        call(x)
