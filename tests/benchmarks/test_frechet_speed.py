"""Bootstrap replicates of Fréchet distances against recomputation: FVD's 400 dimensions, and 2048, as PANNs has."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.linalg import sqrtm

from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance, frechet_replicates
from mmbench.statistics.estimates import resample_indices


def seconds(function: Callable[[], object], repeats: int) -> float:
    """The least processor seconds of several calls: they stay comparable while other work runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize(("n", "d", "times"), [(2048, 400, 10), (2048, 2048, 3), (8192, 2048, 3)])
def test_replicates(benchmark: BenchmarkFixture, n: int, d: int, times: int) -> None:
    """Of 2048 clips fewer than 2048 distinct ones are drawn, of 8192 more: two ways to the same eigenvalues."""
    rng = np.random.default_rng(0)
    generated, real = ((rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5).astype(np.float32) for _ in range(2))
    reference, indices = Moments.of(real), resample_indices(n, times, seed=0)
    mean, covariance = real.mean(0, dtype=np.float64), np.cov(real.T, ddof=0)

    def by_square_root() -> float:
        x = generated[indices[0]].astype(np.float64)
        cov = np.cov(x.T, ddof=0)
        return float(np.sum((x.mean(0) - mean) ** 2) + np.trace(cov + covariance - 2 * sqrtm(cov @ covariance).real))

    def by_factors() -> float:
        return frechet_distance(Moments.of(generated[indices[0]]), reference, 0)

    def replicates() -> np.ndarray:
        return frechet_replicates(generated, reference, indices, 0)

    found = benchmark.pedantic(replicates)
    np.testing.assert_allclose(found[0], by_factors(), rtol=1e-9)
    np.testing.assert_allclose(found[0], by_square_root(), rtol=1e-7)
    if benchmark.stats:  # timing is disabled in the plain test run
        repeats = 3 if d < 1000 else 1
        projection = seconds(lambda: frechet_replicates(generated, reference, indices[:0], 0), repeats)  # made once
        each = (seconds(replicates, repeats) - projection) / len(indices)
        root = seconds(by_square_root, repeats)
        benchmark.extra_info["ms_per_replicate"] = 1e3 * each
        benchmark.extra_info["replicate_of_sqrtm_percent"] = 100 * each / root
        benchmark.extra_info["sqrtm_over_replicate"] = root / each
        benchmark.extra_info["factors_over_replicate"] = seconds(by_factors, repeats) / each
        benchmark.extra_info["projection_of_sqrtm_percent"] = 100 * projection / root
        print(f"\n{n} x {d}: {benchmark.extra_info}")
