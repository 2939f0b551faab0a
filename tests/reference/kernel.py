"""Kernel distances from whole kernel matrices: KID, KVD, and KAD with the three radial kernels of its reference."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mmbench.metrics.arithmetic.frechet import checked
from mmbench.metrics.arithmetic.kernel import median_distance, polynomial_kernel

RadialKernel = Literal["gaussian", "iq", "imq"]


def radial_kernel(x: np.ndarray, y: np.ndarray, bandwidth: float, kind: RadialKernel = "gaussian") -> np.ndarray:
    """(n, m) kernel of u = |x - y|² / (2 bandwidth²): exp(-u), 1 / (1 + u) (iq) or 1 / √(1 + u) (imq).

    Source: YoonjinXD/kadtk@8bda71d:kadtk/kad.py.
    """
    from scipy.spatial.distance import cdist

    u = cdist(x, y, "sqeuclidean") / (2.0 * bandwidth**2)
    if kind == "gaussian":
        return np.exp(-u)
    return 1.0 / (1.0 + u) if kind == "iq" else 1.0 / np.sqrt(1.0 + u)


def mmd2(k_xx: np.ndarray, k_yy: np.ndarray, k_xy: np.ndarray) -> float:
    """Unbiased MMD² of (n, n), (m, m) and (n, m) kernel values (Gretton et al. 2012, eq. 3)."""
    return float(_off_diagonal_mean(k_xx) + _off_diagonal_mean(k_yy) - 2.0 * k_xy.mean())


def _off_diagonal_mean(k: np.ndarray) -> float:
    return float((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)))


def kvd(x: np.ndarray, y: np.ndarray) -> float:
    """Kernel video distance of (n, d) and (m, d) features; symmetric."""
    x, y = checked(x), checked(y)
    return mmd2(polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y))


def kad(
    generated: np.ndarray, reference: np.ndarray, bandwidth: float | None = None, kind: RadialKernel = "gaussian"
) -> float:
    """Kernel audio distance of (n, d) and (m, d) features; the default bandwidth is the reference's median distance."""
    x, y = checked(generated), checked(reference)
    width = median_distance(y) if bandwidth is None else bandwidth
    return 100.0 * mmd2(
        radial_kernel(x, x, width, kind), radial_kernel(y, y, width, kind), radial_kernel(x, y, width, kind)
    )


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
