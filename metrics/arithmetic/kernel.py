"""Kernel distances: KVD and KAD, which stand beside FVD and FAD on the same features, with a standard error.

Both are the unbiased MMD² of two feature sets, KVD with the cubic kernel of KID (researchmm/MM-Diffusion@7250222:
mm_diffusion/evaluator.py), KAD with a Gaussian kernel, times 100 (YoonjinXD/kadtk@8bda71d:kadtk/kad.py). MMD² has no
finite-sample bias, so it may be negative, and numbers of different n can be compared.

All rows are pooled, as published: where a clip gives several, pairs within it leave a bias of order 1 / n.
Kernels are summed in blocks, so that memory grows with the number of rows alone. The standard error leaves out one
generated clip at a time, with all its rows, and holds the reference fixed, as the bootstrap of the Fréchet distance
does; of a sum over pairs both are functions of the clips' sums, so the jackknife is exact arithmetic, without draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.frechet import checked

KernelDistance = Literal["kvd", "kad"]
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
BLOCK = 512  # rows of a kernel matrix that exist at a time
MEDIAN_ROWS = 4096  # rows of a larger reference, evenly spaced, give its median distance


def kernel_distance(
    kind: KernelDistance, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]
) -> dict[str, float | None]:
    """KVD or KAD between the features of generated and of real clips, with its standard error.

    KAD's bandwidth is the median distance within the *reference*, so that it is the same for all systems (the README of
    YoonjinXD/kadtk says so too; its code takes the evaluated set).

    Args:
        kind: "kvd" or "kad".
        ours: (k, d) features of each generated clip.
        theirs: (k, d) features of each real clip.

    Returns:
        `kind` and `kind_stderr`; for KAD also `kad_bandwidth`, in units of the features. None where undefined: fewer
        than two rows on a side, or real rows that are all equal, which have no bandwidth.

    Raises:
        MMBenchError: A feature is NaN or infinite.
    """
    found: dict[str, float | None] = {kind: None, f"{kind}_stderr": None}
    reference = checked(np.concatenate(list(theirs)))
    kernel, scale = polynomial_kernel, 1.0
    if kind == "kad":
        found["kad_bandwidth"] = None
        some = np.linspace(0, len(reference) - 1, min(len(reference), MEDIAN_ROWS)).round().astype(int)
        try:
            bandwidth = median_distance(reference[some])
        except MMBenchError:
            return found
        found["kad_bandwidth"] = bandwidth
        kernel, scale = partial(gaussian_kernel, centre=reference.mean(axis=0), bandwidth=bandwidth), 100.0
    if min(sum(map(len, ours)), len(reference)) < 2:
        return found
    value, stderr = mmd2_jackknife(ours, reference, kernel)
    return {**found, kind: scale * value, f"{kind}_stderr": None if stderr is None else scale * stderr}


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The cubic kernel (x·y / d + 1)³, (n, m), of (n, d) and (m, d) features."""
    k = x @ y.T / x.shape[1] + 1.0
    return k * k * k  # a power is twenty times slower


def gaussian_kernel(x: np.ndarray, y: np.ndarray, centre: np.ndarray, bandwidth: float) -> np.ndarray:
    """The Gaussian kernel exp(-|x - y|² / (2 bandwidth²)), (n, m), of (n, d) and (m, d) features.

    Squares are expanded, which is fast, and about the features' `centre` (d,) also exact enough.
    """
    a, b = (x - centre) / bandwidth, (y - centre) / bandwidth
    u = a @ b.T - 0.5 * np.einsum("ij,ij->i", a, a)[:, None] - 0.5 * np.einsum("ij,ij->i", b, b)
    return np.exp(np.minimum(u, 0.0, out=u), out=u)


def median_distance(x: np.ndarray) -> float:
    """The (lower) median of the distances between different rows of (n, d) features."""
    from scipy.spatial.distance import pdist

    distances = pdist(checked(x))
    if not distances.size or not np.any(distances):
        raise MMBenchError("The median distance of these features is undefined or zero.", "at least two distinct rows")
    middle = (len(distances) - 1) // 2
    return float(np.partition(distances, middle)[middle])


def mmd2_jackknife(clips: Sequence[np.ndarray], reference: np.ndarray, kernel: Kernel) -> tuple[float, float | None]:
    """Unbiased MMD² of all rows (Gretton et al. 2012, eq. 3), and its standard error by leaving out clips.

    Args:
        clips: (k, d) features of each clip.
        reference: (m, d) float64; not resampled.
        kernel: Values (n, m) of two sets of rows.

    Returns:
        The distance, and its standard error; None where leaving out a clip leaves fewer than two rows.

    Raises:
        MMBenchError: Fewer than two rows on a side.
    """
    x, sizes = checked(np.concatenate(list(clips))), np.array([len(clip) for clip in clips])
    if min(len(x), len(reference)) < 2:
        raise MMBenchError("An unbiased kernel distance needs two rows on each side.", "n >= 2", "more samples")
    whole, within, diagonal, cross = _sums(x, sizes, kernel, reference)
    real, _, alone, _ = _sums(reference, np.ones(len(reference), int), kernel)
    between_real = (real.sum() - alone.sum()) / (len(reference) * (len(reference) - 1))

    def distance(n: np.ndarray, pairs: np.ndarray, crossed: np.ndarray) -> np.ndarray:
        """Of n rows with the sums of their kernel over distinct pairs, and over real rows."""
        return pairs / (n * (n - 1)) + between_real - 2.0 * crossed / (n * len(reference))

    pairs = whole.sum() - diagonal.sum()
    value = float(distance(np.array(len(x)), pairs, cross.sum()))
    left = len(x) - sizes
    if left.min() < 2:
        return value, None
    without = distance(left, pairs - 2 * whole + within + diagonal, cross.sum() - cross)
    n = len(sizes)
    return value, float(np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))


def _sums(x: np.ndarray, sizes: np.ndarray, kernel: Kernel, other: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """Sums of a kernel per clip, (4, clips): a clip's rows with all rows, its own rows, themselves, rows of `other`."""
    ends = np.cumsum(sizes)
    out = np.zeros((4, len(sizes)))
    first = 0
    while first < len(sizes):
        start = ends[first] - sizes[first]
        last = max(int(np.searchsorted(ends, start + BLOCK, side="right")), first + 1)
        rows, cuts = slice(start, ends[last - 1]), ends[first:last] - sizes[first:last] - start
        k = kernel(x[rows], x)
        own = k[:, rows]
        sums = [k.sum(axis=1), np.zeros(len(own)), np.diag(own)]
        sums.append(np.zeros(len(own)) if other is None else kernel(x[rows], other).sum(axis=1))
        out[:, first:last] = np.add.reduceat(np.array(sums), cuts, axis=1)
        blocks = np.add.reduceat(np.add.reduceat(own, cuts, axis=0), cuts, axis=1)
        out[1, first:last] = np.diag(blocks)
        first = last
    return tuple(out)
