"""Kernel distances: KVD and KAD, which stand beside FVD and FAD on the same features, with a standard error.

Both are the unbiased MMD² of two feature sets, KVD with the cubic kernel of KID (researchmm/MM-Diffusion@7250222:
mm_diffusion/evaluator.py), KAD with a Gaussian kernel, times 100 (YoonjinXD/kadtk@8bda71d:kadtk/kad.py). MMD² has no
finite-sample bias, so it may be negative, and numbers of different n can be compared.

All rows are pooled, as published: where a clip gives several, pairs within it leave a bias of order 1 / n.
Kernels are summed in blocks, so that memory grows with the number of rows alone. Sets of more than 4096 clips are cut
into parts, whose means are averaged (as in the B-test; Zaremba, Gretton & Blaschko 2013): no less unbiased, with time
that grows with the clips, not with their square. The standard error leaves out one
generated clip at a time, with all its rows, and holds the reference fixed, as the bootstrap of the Fréchet distance
does; of a sum over pairs both are functions of the clips' sums, so the jackknife is exact arithmetic, without draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.frechet import checked

KernelDistance = Literal["kvd", "kad"]
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
BLOCK = 512  # rows of a kernel matrix that exist at a time
PART = 4096  # clips of a larger set are cut into parts of at most so many
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
    value, stderr = mmd2_jackknife(ours, theirs, kernel)
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


def mmd2_jackknife(
    clips: Sequence[np.ndarray], reference: Sequence[np.ndarray], kernel: Kernel
) -> tuple[float, float | None]:
    """Unbiased MMD² of all rows (Gretton et al. 2012, eq. 3), and its standard error by leaving out clips.

    Each of its three means over pairs of rows is, of more than `PART` clips, the mean of those of equal parts.

    Args:
        clips: (k, d) features of each clip.
        reference: (k, d) features of each real clip; not resampled.
        kernel: Values (n, m) of two sets of rows.

    Returns:
        The distance, and its standard error; None where leaving out a clip leaves fewer than two rows.

    Raises:
        MMBenchError: Fewer than two rows on a side.
    """
    if min(sum(map(len, side)) for side in (clips, reference)) < 2:
        raise MMBenchError("An unbiased kernel distance needs two rows on each side.", "n >= 2", "more samples")
    own, own_without = _mean_within(clips, kernel)
    real, _ = _mean_within(reference, kernel)
    crossed, crossed_without = _mean_across(clips, reference, kernel)
    value = own + real - 2.0 * crossed
    n, without = len(clips), own_without + real - 2.0 * crossed_without
    if np.isnan(without).any():
        return value, None
    return value, float(np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))


def _count_parts(clips: int) -> int:
    return -(-clips // PART)


def _mean_within(clips: Sequence[np.ndarray], kernel: Kernel) -> tuple[float, np.ndarray]:
    """The mean of a kernel over pairs of different rows, and without each clip (clips,), NaN where no pair is left."""
    parts = _count_parts(len(clips))
    means, without = np.empty(parts), np.empty(len(clips))
    for k in range(parts):
        x, sizes = _rows(clips[k::parts])
        whole, within, diagonal = _sums_within(x, sizes, kernel)
        pairs, left = whole.sum() - diagonal.sum(), len(x) - sizes
        means[k] = pairs / (len(x) * (len(x) - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            alone = (pairs - 2 * whole + within + diagonal) / (left * (left - 1))
        without[k::parts] = np.where(left < 2, np.nan, alone)
    return _mean_of_parts(means, without)


def _mean_across(
    clips: Sequence[np.ndarray], reference: Sequence[np.ndarray], kernel: Kernel
) -> tuple[float, np.ndarray]:
    """The mean of a kernel over pairs of rows of both sets, and without each of the clips (clips,)."""
    parts = _count_parts(min(len(clips), len(reference)))
    means, without = np.empty(parts), np.empty(len(clips))
    for k in range(parts):
        x, sizes = _rows(clips[k::parts])
        y, _ = _rows(reference[k::parts])
        sums, left = _sums_across(x, sizes, kernel, y), len(x) - sizes
        means[k] = sums.sum() / (len(x) * len(y))
        with np.errstate(divide="ignore", invalid="ignore"):
            without[k::parts] = (sums.sum() - sums) / (left * len(y))
    return _mean_of_parts(means, without)


def _mean_of_parts(means: np.ndarray, without: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of parts, and what it is where a clip is left out of the part that it is in."""
    parts, k = len(means), np.arange(len(without)) % len(means)
    return float(means.mean()), (means.sum() - means[k] + without) / parts


def _rows(clips: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The rows of clips (n, d), and how many each has."""
    return checked(np.concatenate(list(clips))), np.array([len(clip) for clip in clips])


def _blocks(sizes: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Clips of about `BLOCK` rows together: which clips, which rows, and where in these each clip begins."""
    ends, first = np.cumsum(sizes), 0
    while first < len(sizes):
        start = ends[first] - sizes[first]
        last = max(int(np.searchsorted(ends, start + BLOCK, side="right")), first + 1)
        yield slice(first, last), slice(start, ends[last - 1]), ends[first:last] - sizes[first:last] - start
        first = last


def _sums_within(x: np.ndarray, sizes: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Sums of a kernel per clip, (3, clips): a clip's rows with all rows, with its own rows, and with themselves."""
    out = np.zeros((3, len(sizes)))
    for clips, rows, cuts in _blocks(sizes):
        k = kernel(x[rows], x)
        own = k[:, rows]
        out[::2, clips] = np.add.reduceat(np.array([k.sum(axis=1), np.diag(own)]), cuts, axis=1)
        out[1, clips] = np.diag(np.add.reduceat(np.add.reduceat(own, cuts, axis=0), cuts, axis=1))
    return out


def _sums_across(x: np.ndarray, sizes: np.ndarray, kernel: Kernel, other: np.ndarray) -> np.ndarray:
    """Sums of a kernel per clip, (clips,), of its rows with the rows of `other`."""
    out = np.zeros(len(sizes))
    for clips, rows, cuts in _blocks(sizes):
        out[clips] = np.add.reduceat(kernel(x[rows], other).sum(axis=1), cuts)
    return out
