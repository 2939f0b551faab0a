"""KVD and KAD beside FVD and FAD: the whole sets' distance, an error that knows clips, and refusals that are None."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mmbench.metrics.arithmetic import companions as kernel_companions
from mmbench.metrics.arithmetic.companions import companion, mmd2_jackknife
from mmbench.metrics.arithmetic.kernel import kad, median_distance, polynomial_distance, polynomial_kernel
from mmbench.metrics.bounce import FADBounce, FVDBounce
from mmbench.metrics.fad import FAD
from mmbench.metrics.fvd import FVD

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
    distance = polynomial_distance if kind == "kvd" else kad
    return distance(np.concatenate(ours), np.concatenate(theirs))


@pytest.mark.parametrize("block", [1, 7, 512])
@pytest.mark.parametrize("kind", ["kvd", "kad"])
def test_equals_the_whole_kernel_matrices_however_it_is_cut(
    kind: Any, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_companions, "BLOCK", block)
    ours, theirs = clips(20, 0, 0.4), clips(15, 1)
    ours[3] = ours[3][:1]  # clips of different lengths
    found = companion(kind, ours, theirs)
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
    two = companion("kvd", clips(2, 0, rows=1), clips(5, 1))
    assert two["kvd"] is not None
    assert two["kvd_stderr"] is None  # without one of two rows, no pair is left
    constant = companion("kad", clips(5, 0), [np.ones((2, 5))] * 4)
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
    monkeypatch.setattr(kernel_companions, "MEDIAN_ROWS", 10)
    ours, theirs = clips(6, 6), clips(10, 7, rows=2)
    found = companion("kad", ours, theirs)
    every_other = np.concatenate(theirs)[np.linspace(0, 19, 10).round().astype(int)]
    assert found["kad_bandwidth"] == pytest.approx(median_distance(every_other))
    bandwidth = median_distance(every_other)
    assert found["kad"] == pytest.approx(kad(np.concatenate(ours), np.concatenate(theirs), bandwidth), rel=1e-9)
