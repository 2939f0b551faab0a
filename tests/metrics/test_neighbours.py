"""Precision, recall, density and coverage in cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.errors import MMBenchError
from tests.reference.neighbours import manifold


def test_the_same_rows_are_fully_covered() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    same = manifold(x, x, k=3)
    assert (same.precision, same.recall, same.coverage) == (1.0, 1.0, 1.0)
    assert same.density == pytest.approx(1.0)  # k open balls hold a row: its own and k - 1 others, on average
    assert manifold(x, x, k=3, closed=True).density == pytest.approx(4 / 3)  # the k-th neighbour itself counts too


def test_far_sets_share_nothing() -> None:
    x = np.random.default_rng(1).normal(size=(40, 3))
    far = manifold(x, x + 100)
    assert (far.precision, far.recall, far.density, far.coverage, far.f_score) == (0, 0, 0, 0, 0)


def test_collapse_costs_recall_and_noise_costs_precision() -> None:
    rng = np.random.default_rng(2)
    real = rng.normal(size=(200, 2))
    collapsed, noisy = manifold(0.1 * real, real), manifold(4 * rng.normal(size=(200, 2)), real)
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.3
    assert noisy.precision < 0.5
    assert noisy.recall > 0.9
    assert collapsed.f_score == pytest.approx(2 / (1 / collapsed.precision + 1 / collapsed.recall))


def test_points_on_a_line() -> None:
    real, generated = np.array([[0.0], [1.0], [3.0]]), np.array([[1.0], [2.0], [10.0]])
    open_balls, closed = manifold(generated, real, k=1), manifold(generated, real, k=1, closed=True)
    assert open_balls.precision == pytest.approx(2 / 3)  # |3 - 2| < 2 and |1 - 1| < 1
    assert open_balls.recall == pytest.approx(2 / 3)  # generated radii 1, 1, 8
    assert open_balls.coverage == pytest.approx(2 / 3)  # nearest of 0 is 1, at its radius exactly
    assert closed.coverage == 1.0
    assert closed.recall == 1.0


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(MMBenchError, match="no neighbour number 5"):
        manifold(np.eye(5), np.eye(5)[:, :5], k=5)
