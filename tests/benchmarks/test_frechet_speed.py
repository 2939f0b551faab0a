"""Bootstrap replicates of an FVD-sized Fréchet distance (2048 clips, 400 dimensions) against recomputation."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.linalg import sqrtm

from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance, frechet_replicates
from mmbench.statistics.estimates import resample_indices


def seconds(function: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def test_replicates(benchmark: BenchmarkFixture) -> None:
    rng = np.random.default_rng(0)
    n, d = 2048, 400
    generated, real = ((rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5).astype(np.float32) for _ in range(2))
    reference, indices = Moments.of(real), resample_indices(n, 10, seed=0)
    mean, covariance = real.mean(0, dtype=np.float64), np.cov(real.T, ddof=0)

    def by_square_root() -> float:
        x = generated[indices[0]].astype(np.float64)
        cov = np.cov(x.T, ddof=0)
        return float(np.sum((x.mean(0) - mean) ** 2) + np.trace(cov + covariance - 2 * sqrtm(cov @ covariance).real))

    def by_factors() -> float:
        return frechet_distance(Moments.of(generated[indices[0]]), reference, 0)

    replicates = benchmark(frechet_replicates, generated, reference, indices, 0)
    np.testing.assert_allclose(replicates[0], by_factors(), rtol=1e-9)
    np.testing.assert_allclose(replicates[0], by_square_root(), rtol=1e-7)
    if benchmark.stats:  # timing is disabled in the plain test run
        each = benchmark.stats.stats.min / len(indices)
        benchmark.extra_info["ms_per_replicate"] = 1e3 * each
        benchmark.extra_info["sqrtm_over_replicate"] = seconds(by_square_root) / each
        benchmark.extra_info["factors_over_replicate"] = seconds(by_factors) / each
