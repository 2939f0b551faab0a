"""The Fréchet distance between feature sets: moments, distance, and fast bootstrap replicates, all float64.

d² = |μ_a − μ_b|² + tr Σ_a + tr Σ_b − 2 tr (Σ_a Σ_b)^½, and with factors Σ = F Fᵀ the last trace is the nuclear norm of
F_aᵀ F_b: no matrix square root, nothing complex, and no trouble with singular covariances.

FVD takes ddof 0 (universome/stylegan-v@3fecd69:src/metrics/metric_utils.py), FAD ddof 1
(haoheliu/audioldm_eval@8dc07ee:audioldm_eval/metrics/fad.py, here with the mean in float64, not float32).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmbench.errors import IntegrityError, MMBenchError

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Moments:
    """Sufficient statistics of a feature set; two of them merge without the features.

    Attributes:
        n: Number of rows.
        mean: (d,) float64.
        scatter: (d, d) float64, the sum of outer products about the mean (about zero it would cancel for large means).
        rows: (k, d) with the scatter as their product, where the features are known and no more than dimensions.
    """

    n: int
    mean: np.ndarray
    scatter: np.ndarray
    rows: np.ndarray | None = None

    @classmethod
    def of(cls, features: np.ndarray, counts: np.ndarray | None = None) -> Moments:
        """Moments of (n, d) features, each row taken counts[i] times (once if None).

        Raises:
            MMBenchError: If the array is not (n, d), is empty or not finite.
        """
        x = checked(features)
        if counts is None:
            mean = x.mean(axis=0)
            centred = x - mean
            return cls(len(x), mean, centred.T @ centred, centred if len(x) <= x.shape[1] else None)
        drawn = np.flatnonzero(counts)  # a bootstrap leaves out 37 % of the rows
        n = int(counts.sum())
        mean = counts[drawn] @ x[drawn] / n
        centred = np.sqrt(counts[drawn])[:, None] * (x[drawn] - mean)
        return cls(n, mean, centred.T @ centred, centred if len(centred) <= x.shape[1] else None)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together (Chan, Golub & LeVeque 1979)."""
        n, step = self.n + other.n, other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), scatter)

    def covariance(self, ddof: int) -> np.ndarray:
        """(d, d) covariance with the sum divided by n - ddof."""
        if self.n <= ddof:
            raise MMBenchError(
                f"A covariance with ddof {ddof} was asked of {self.n} feature row(s).",
                f"more than {ddof}",
                "more samples",
            )
        return self.scatter / (self.n - ddof)

    def factor(self, ddof: int) -> np.ndarray:
        """A factor F (d, r) of the covariance F Fᵀ; of few features they are one, and nothing is decomposed."""
        if self.rows is None:
            return factor(self.covariance(ddof))
        return self.rows.T / np.sqrt(self.n - ddof)

    def arrays(self) -> dict[str, np.ndarray]:
        """The moments as named arrays, which `from_arrays` reads: n, mean and scatter."""
        return {"n": np.array(self.n, dtype=np.int64), "mean": self.mean, "scatter": self.scatter}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Moments:
        """The inverse of `arrays`; IntegrityError for what are no moments, which would give any distance at all."""
        mean, scatter = (np.asarray(arrays[key], dtype=np.float64) for key in ("mean", "scatter"))
        num = int(arrays["n"])
        finite = bool(np.isfinite(mean).all() and np.isfinite(scatter).all())
        if scatter.shape != (*mean.shape, *mean.shape) or mean.ndim != 1:
            wrong = f"a mean of shape {mean.shape} and a scatter of shape {scatter.shape}"
        elif num < 2 or not finite:
            wrong = f"n = {num}" if finite else "NaN or infinity"
        elif not np.allclose(scatter, scatter.T, rtol=1e-6, atol=0) or (np.diag(scatter) < 0).any():
            wrong = "a scatter that is not symmetric, or has negative variances"
        else:
            return cls(num, mean, scatter)
        expected, next = "sums over at least 2 real clips", "mmbench stats export --dataset NAME --out FILE"
        raise IntegrityError(f"The statistics of the real clips are damaged: they have {wrong}.", expected, next)


def checked(features: np.ndarray) -> np.ndarray:
    """Features (n, d) as float64; MMBenchError, with the row, where one is not finite."""
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or x.size == 0:
        raise MMBenchError(f"Features have shape {x.shape}.", "(n, d) with n, d >= 1", "score more samples")
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise MMBenchError(
            f"{len(bad)} of {len(x)} feature rows hold NaN or infinity, the first is row {bad[0]}.",
            "finite features",
            "look at the clips of these rows, or leave them out and count them as missing",
        )
    return x


def factor(covariance: np.ndarray) -> np.ndarray:
    """A factor F of a covariance F Fᵀ: Cholesky's, or where that is ill conditioned, eigenvectors of numerical rank.

    Args:
        covariance: (d, d) float64, positive semidefinite.

    Returns:
        (d, r) float64; r < d only if the covariance is singular within rounding.
    """
    tiny = len(covariance) * _EPS
    try:
        lower = np.linalg.cholesky(covariance)
        pivots = np.square(np.diag(lower))
        if pivots.min() > tiny * np.diag(covariance).max():
            return lower
    except np.linalg.LinAlgError:
        pass  # singular: the eigenvectors below hold what there is
    values, vectors = np.linalg.eigh(covariance)
    keep = values > tiny * max(values[-1], 0.0)
    return vectors[:, keep] * np.sqrt(values[keep])


def frechet_distance(a: Moments, b: Moments, ddof: int) -> float:
    """The squared Fréchet distance between the normal distributions of two feature sets.

    Args:
        a: One set.
        b: The other; the distance is symmetric.
        ddof: 0 divides covariances by n (FVD), 1 by n - 1 (FAD).

    Returns:
        The distance in squared units of the features, at least 0.
    """
    if a.mean.shape != b.mean.shape:
        raise MMBenchError(
            f"Features of {len(a.mean)} and of {len(b.mean)} dimensions cannot be compared.", "one extractor for both"
        )
    cov_a, cov_b = a.covariance(ddof), b.covariance(ddof)
    nuclear = np.linalg.svd(a.factor(ddof).T @ b.factor(ddof), compute_uv=False).sum()
    return max(0.0, float(np.sum((a.mean - b.mean) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * nuclear))


def frechet_replicates(
    features: np.ndarray, reference: Moments, indices: np.ndarray, ddof: int, clips: np.ndarray | None = None
) -> np.ndarray:
    """Bootstrap replicates of the distance to a fixed reference.

    With Σ_r = F Fᵀ and rows y = Fᵀ x made once, a replicate costs one product yᵀ W y of its distinct rows and the
    eigenvalues of that symmetric matrix (of y yᵀ, if there are fewer rows than dimensions); no factor, no root.

    Args:
        features: (rows, d).
        reference: Moments of the reference; not resampled.
        indices: (B, n) resampled clips, see `mmbench.statistics.estimates.resample_indices`.
        ddof: As for `frechet_distance`.
        clips: (rows,) index in [0, n) of the clip of each row; a clip's rows are drawn together. None: row i is clip i.

    Returns:
        (B,) float64.
    """
    from threadpoolctl import threadpool_limits

    x = checked(features)
    n = indices.shape[1]
    clips = np.arange(len(x)) if clips is None else np.asarray(clips)
    centre = x.mean(axis=0)
    x = x - centre
    projection = reference.factor(ddof)
    y, square = x @ projection, np.einsum("ij,ij->i", x, x)
    offset, trace = centre - reference.mean, np.trace(reference.covariance(ddof))
    replicates, memory = np.empty(len(indices)), np.empty_like(y)  # mapping new memory for each would cost a tenth
    with threadpool_limits(1, "blas"):  # on a busy machine, two threads on matrices this small wait 10 times longer
        for b, drawn_clips in enumerate(indices):
            counts = np.bincount(drawn_clips, minlength=n)[clips].astype(np.float64)
            drawn, total = np.flatnonzero(counts), counts.sum()
            mean = counts @ x / total
            rows = np.take(y, drawn, axis=0, out=memory[: len(drawn)], mode="clip")  # "raise" would copy once more
            rows -= mean @ projection
            rows *= np.sqrt(counts[drawn])[:, None]
            gram = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
            values = np.linalg.eigvalsh(gram) / (total - ddof)
            nuclear = np.sqrt(values[values > len(values) * _EPS * values.max(initial=0.0)]).sum()
            spread = (counts @ square - total * (mean @ mean)) / (total - ddof)
            replicates[b] = np.sum((mean + offset) ** 2) + spread + trace - 2 * nuclear
    return replicates
