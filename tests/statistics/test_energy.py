"""The energy distance against sums written out, scipy, and what it has to see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import energy_distance as of_distributions

from mmbench.statistics import energy
from mmbench.statistics.energy import energy_distance


def draw(n: int, seed: int, scale: float = 1.0, shift: float = 0.0, dims: int = 2) -> np.ndarray:
    return shift + scale * np.random.default_rng(seed).standard_normal((n, dims))


def test_it_is_the_sum_over_all_pairs_without_a_point_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = draw(7, 0), draw(5, 1, 2.0)

    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        return float(
            np.mean([np.linalg.norm(p - q) for i, p in enumerate(a) for j, q in enumerate(b) if not same or i != j])
        )

    want = 2 * mean(x, y, False) - mean(x, x, True) - mean(y, y, True)
    assert energy_distance(x, y).value == pytest.approx(want, rel=1e-12)
    monkeypatch.setattr(energy, "CHUNK", 2)
    assert energy_distance(x, y).value == pytest.approx(want, rel=1e-12)


def test_it_agrees_with_scipy_in_one_dimension() -> None:
    x, y = draw(3000, 2, dims=1), draw(3000, 3, 1.5, dims=1)
    biased = of_distributions(x[:, 0], y[:, 0]) ** 2  # scipy's is the root, with each point its own neighbour
    assert energy_distance(x, y).value == pytest.approx(biased, abs=3e-3)


def test_equal_distributions_are_at_distance_zero_on_average() -> None:
    values = [energy_distance(draw(200, 2 * k), draw(200, 2 * k + 1)).value for k in range(60)]
    assert abs(np.mean(values)) < 3 * np.std(values, ddof=1) / 60**0.5
    assert min(values) < 0 < max(values), "it is without bias"


@pytest.mark.parametrize("other", [{"scale": 0.8}, {"scale": 1.25}, {"shift": 0.3}])
def test_too_narrow_too_wide_and_shifted_samples_are_all_further_away(other: dict[str, float]) -> None:
    found = energy_distance(draw(2000, 4, **other), draw(2000, 5))
    assert found.stderr is not None
    assert found.value > 3 * found.stderr > 0


def test_its_error_is_the_scatter_of_repetitions() -> None:
    found = [energy_distance(draw(300, 2 * k, 1.5), draw(300, 2 * k + 1)) for k in range(80)]
    stated = np.mean([e.stderr for e in found if e.stderr is not None])
    assert stated == pytest.approx(np.std([e.value for e in found], ddof=1), rel=0.25)


def test_one_point_has_no_distance() -> None:
    assert np.isnan(energy_distance(draw(1, 0), draw(9, 1)).value)
