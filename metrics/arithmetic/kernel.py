"""Kernel distances between feature sets: unbiased MMD² with polynomial (KID, KVD) and Gaussian kernels (KAD), float64.

MMD² has no finite-sample bias, so it may be negative, and numbers of different n can be compared.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.frechet import checked

RadialKernel = Literal["gaussian", "iq", "imq"]


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) kernel (x·y / d + 1)³ of (n, d) and (m, d) features."""
    k = x @ y.T / x.shape[1] + 1.0
    return k * k * k  # a power is twenty times slower


def radial_kernel(x: np.ndarray, y: np.ndarray, bandwidth: float, kind: RadialKernel = "gaussian") -> np.ndarray:
    """(n, m) kernel of u = |x - y|² / (2 bandwidth²): exp(-u), 1 / (1 + u) (iq) or 1 / √(1 + u) (imq).

    Source: YoonjinXD/kadtk@8bda71d:kadtk/kad.py.
    """
    from scipy.spatial.distance import cdist

    u = cdist(x, y, "sqeuclidean") / (2.0 * bandwidth**2)
    if kind == "gaussian":
        return np.exp(-u)
    return 1.0 / (1.0 + u) if kind == "iq" else 1.0 / np.sqrt(1.0 + u)


def median_distance(x: np.ndarray) -> float:
    """The (lower) median of the distances between different rows of (n, d) features."""
    from scipy.spatial.distance import pdist

    distances = pdist(checked(x))
    if not distances.size or not np.any(distances):
        raise MMBenchError("The median distance of these features is undefined or zero.", "at least two distinct rows")
    middle = (len(distances) - 1) // 2
    return float(np.partition(distances, middle)[middle])


def mmd2(k_xx: np.ndarray, k_yy: np.ndarray, k_xy: np.ndarray) -> float:
    """Unbiased MMD² of (n, n), (m, m) and (n, m) kernel values (Gretton et al. 2012, eq. 3)."""
    return float(_off_diagonal_mean(k_xx) + _off_diagonal_mean(k_yy) - 2.0 * k_xy.mean())


def _off_diagonal_mean(k: np.ndarray) -> float:
    n = len(k)
    if n < 2:
        raise MMBenchError("An unbiased kernel distance needs two rows on each side.", "n >= 2", "more samples")
    return float((k.sum() - np.trace(k)) / (n * (n - 1)))


def mmd2_replicates(k_xx: np.ndarray, k_yy: np.ndarray, k_xy: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Bootstrap replicates of MMD² under resamplings of x, y fixed; a row drawn twice is no pair with itself.

    Args:
        k_xx: (n, n) kernel.
        k_yy: (m, m) kernel.
        k_xy: (n, m) kernel.
        indices: (B, n) resampled rows, see `mmbench.statistics.estimates.resample_indices`.

    Returns:
        (B,) float64.
    """
    n = indices.shape[1]
    counts = np.stack([np.bincount(drawn, minlength=n) for drawn in indices]).astype(np.float64)
    squares = counts**2
    pairs = np.einsum("bi,bi->b", counts @ k_xx, counts) - squares @ np.diag(k_xx)
    return pairs / (n**2 - squares.sum(axis=1)) + _off_diagonal_mean(k_yy) - 2.0 * counts @ k_xy.mean(axis=1) / n


def polynomial_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased MMD² of whole sets with the polynomial kernel: KVD on video features.

    Source: researchmm/MM-Diffusion@7250222:mm_diffusion/evaluator.py.

    Args:
        x: (n, d) features.
        y: (m, d) features; the distance is symmetric.
    """
    x, y = checked(x), checked(y)
    return mmd2(polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y))


def kid(
    generated: np.ndarray, reference: np.ndarray, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """Kernel inception distance: mean and standard deviation over random subsets, drawn as published.

    Source: toshas/torch-fidelity@5e211a9:torch_fidelity/metric_kid.py, haoheliu/audioldm_eval@8dc07ee.

    Args:
        generated: (n, d) features.
        reference: (m, d) features.
        subsets: Number of subsets; their scatter is no standard error, they overlap.
        subset_size: Rows per subset, lowered to the size of the smaller set.
        seed: Seed of the subsets.
    """
    x, y = checked(generated), checked(reference)
    size = min(subset_size, len(x), len(y))
    rng = np.random.RandomState(seed)  # the published stream
    k_xx, k_yy, k_xy = polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y)
    values = []
    for _ in range(subsets):
        i = rng.choice(len(x), size, replace=False)
        j = rng.choice(len(y), size, replace=False)
        values.append(mmd2(k_xx[np.ix_(i, i)], k_yy[np.ix_(j, j)], k_xy[np.ix_(i, j)]))
    return float(np.mean(values)), float(np.std(values))


def kad(
    generated: np.ndarray,
    reference: np.ndarray,
    bandwidth: float | None = None,
    kind: RadialKernel = "gaussian",
) -> float:
    """Kernel audio distance: 100 times the unbiased MMD² with a radial kernel.

    The default bandwidth is the median distance within the *reference*, so that it is the same for all systems (the
    README of YoonjinXD/kadtk@8bda71d says so too; its code takes the evaluated set).

    Args:
        generated: (n, d) features.
        reference: (m, d) features.
        bandwidth: In units of the features.
        kind: Radial kernel.
    """
    x, y = checked(generated), checked(reference)
    width = median_distance(y) if bandwidth is None else bandwidth
    return 100.0 * mmd2(
        radial_kernel(x, x, width, kind), radial_kernel(y, y, width, kind), radial_kernel(x, y, width, kind)
    )
