"""The floor of a distance between finite sets, and its value at infinite n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.statistics.estimates import Estimate, generator

Distance = Callable[[np.ndarray, np.ndarray], float]  # of two feature arrays, first axis clips


@dataclass(frozen=True)
class Extrapolation(Estimate):
    """A distance at infinite n.

    Attributes:
        points: (parts, mean distance) the line was fitted to.
    """

    points: tuple[tuple[int, float], ...]


def finite_sample_floor(distance: Distance, reference: np.ndarray, splits: int = 10, seed: int = 0) -> Estimate:
    """The distance between disjoint random halves of the real clips: what a perfect system would get at n / 2.

    Args:
        distance: Of two feature arrays.
        reference: (n, ...) features, one entry per clip.
        splits: Number of random splits.
        seed: Seed of the splits.

    Returns:
        The mean over splits; as standard error the scatter of a single split, for splits share their clips.

    Raises:
        MMBenchError: If there are fewer than four clips.
    """
    n = len(reference)
    if n < 4:
        raise MMBenchError(f"{n} real clips cannot be split in halves.", "at least 4", "a larger reference")
    rng = generator(seed, n)
    halves = (np.array_split(rng.permutation(n)[: n // 2 * 2], 2) for _ in range(splits))
    values = np.array([distance(reference[i], reference[j]) for i, j in halves])
    return Estimate(float(values.mean()), float(values.std(ddof=1)) if splits > 1 else None, None, None, n // 2)


def extrapolate(
    distance: Distance,
    a: np.ndarray,
    b: np.ndarray,
    parts: Sequence[int] = (1, 2, 3, 4),
    repeats: int = 10,
    seed: int = 0,
) -> Extrapolation:
    """The distance at infinite n: the intercept of a line in 1 / n through random partitions of *both* sets.

    FD(n) = FD(∞) + slope / n (arXiv 1911.07023). Each repeat cuts both sets into k disjoint parts, without replacement:
    every clip counts once at each n, so that the scatter of the sample is common to all points and only the bias bends
    them. Drawing with replacement, or from one set only, leaves most of the bias. The standard error comes from the
    two halves of each k = 2 partition (balanced half-samples, McCarthy 1969).

    Args:
        distance: Of two feature arrays.
        a: (n, ..., d) features, one entry per clip.
        b: (m, ..., d) features, one entry per clip.
        parts: Numbers of parts k; 1 and 2 among them.
        repeats: Partitions per k.
        seed: Seed of the partitions.

    Returns:
        The distance at infinite n; may be negative within its error, as every unbiased estimate of a small distance.

    Raises:
        MMBenchError: If a part would have no more rows than dimensions, where the line does not hold.
    """
    if not {1, 2} <= set(parts) or repeats < 2:
        raise ValueError(
            f"parts {tuple(parts)}, repeats {repeats}: expected 1 and 2 among the parts, 2 repeats or more"
        )
    for x in (a, b):
        rows = len(x) // max(parts) * int(np.prod(x.shape[1:-1]))
        if rows <= x.shape[-1]:
            raise MMBenchError(
                f"{len(x)} clips in {max(parts)} parts leave {rows} rows for {x.shape[-1]} dimensions.",
                "more rows than dimensions",
                "generate more samples, or compare systems at equal n without extrapolation",
            )
    rng = generator(seed, len(a), len(b))
    values = {k: np.array([_distances(distance, a, b, k, rng) for _ in range(repeats if k > 1 else 1)]) for k in parts}
    points = tuple((k, float(v.mean())) for k, v in values.items())
    value = float(np.polyfit([k for k, _ in points], [mean for _, mean in points], 1)[1])
    stderr = float(np.sqrt(np.mean(np.square(values[2][:, 0] - values[2][:, 1]))) / 2)
    margin = 1.96 * stderr
    return Extrapolation(value, stderr, value - margin, value + margin, min(len(a), len(b)), points)


def _distances(distance: Distance, a: np.ndarray, b: np.ndarray, k: int, rng: np.random.Generator) -> list[float]:
    """Distances between the parts of one random partition of both sets."""
    cut_a, cut_b = (np.array_split(rng.permutation(len(x)), k) for x in (a, b))
    return [distance(a[i], b[j]) for i, j in zip(cut_a, cut_b, strict=True)]
