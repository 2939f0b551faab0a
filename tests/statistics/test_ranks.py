"""Intervals for ranks: by hand, and how often all of them hold in simulated leaderboards."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.statistics.ranks import rank_intervals, welch_p_values


def true_ranks(means: np.ndarray) -> np.ndarray:
    """One more than the number of truly better systems; equals share the best place."""
    return 1 + (means[None, :] > means[:, None]).sum(axis=1)


def intervals_of(samples: np.ndarray) -> list[tuple[int, int]]:
    """Of (m, n) samples, as a leaderboard ranks them."""
    m, n = samples.shape
    return rank_intervals(
        welch_p_values(samples.mean(1), samples.std(1, ddof=1) / np.sqrt(n), np.full(m, n, np.float64))
    )


def test_clear_differences_give_ranks_and_equal_values_share_them() -> None:
    values, errors = np.array([3.0, 1.0, 2.0, 2.0]), np.full(4, 0.01)
    p = welch_p_values(values, errors, np.full(4, 100.0))
    assert rank_intervals(p) == [(1, 1), (4, 4), (2, 3), (2, 3)]
    assert rank_intervals(welch_p_values(values, errors * 1000, np.full(4, 100.0))) == [(1, 4)] * 4


def test_the_first_step_is_bonferroni_over_both_directions_of_all_pairs() -> None:
    p = np.full((3, 3), 0.9)
    p[0, 1] = 0.05 / 6 - 1e-6
    assert rank_intervals(p) == [(1, 2), (2, 3), (1, 3)]
    p[0, 1] = 0.05 / 6 + 1e-6
    assert rank_intervals(p) == [(1, 3)] * 3
    p[0, 1], p[0, 2] = 0.05 / 6 - 1e-6, 0.05 / 5 - 1e-6  # Holm's second step
    assert rank_intervals(p) == [(1, 1), (2, 3), (2, 3)]


def test_welch_is_that_of_scipy() -> None:
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(0)
    a, b = rng.normal(0.3, 1, 12), rng.normal(0, 3, 30)
    stderrs = np.array([x.std(ddof=1) / np.sqrt(len(x)) for x in (a, b)])
    p = welch_p_values(np.array([a.mean(), b.mean()]), stderrs, np.array([12.0, 30.0]))
    assert p[0, 1] == pytest.approx(ttest_ind(a, b, equal_var=False, alternative="greater").pvalue, rel=1e-12)
    assert p[1, 0] == pytest.approx(1 - p[0, 1], rel=1e-12)


def test_what_has_no_error_is_not_tested_and_constants_are_told_apart() -> None:
    p = welch_p_values(np.array([5.0, 1.0, 2.0]), np.array([np.nan, 0.0, 0.0]), np.array([1.0, 9.0, 9.0]))
    assert np.isnan(p[0]).all()
    assert np.isnan(p[:, 0]).all()
    assert (p[2, 1], p[1, 2]) == (0.0, 1.0)
    assert rank_intervals(p) == [(1, 3), (2, 3), (1, 2)]


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_all_intervals_hold_in_95_percent_of_leaderboards(spread: float, shared: float) -> None:
    """Six systems of 24 samples, equal, near or spread, on unshared or shared prompts; two of them always equal."""
    rng = np.random.default_rng([int(spread * 100), int(shared * 10)])
    means = spread * np.array([0, 1, 2, 3, 3, 5.0])
    ranks, held, widths, repetitions = true_ranks(means), 0, [], 400
    for _ in range(repetitions):
        noise = np.sqrt(1 - shared) * rng.standard_normal((6, 24)) + np.sqrt(shared) * rng.standard_normal(24)
        found = intervals_of(means[:, None] + noise)
        held += all(low <= rank <= high for rank, (low, high) in zip(ranks, found, strict=True))
        widths.append(np.mean([high - low for low, high in found]))
    assert held / repetitions >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / repetitions)
    if spread == 0.5:
        assert np.mean(widths) < 3.5  # of 5: it says something
