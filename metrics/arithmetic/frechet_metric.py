"""From features per clip to a Score by the Fréchet distance; resampling keeps the rows of a clip together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.authenticity import authenticity
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance, frechet_replicates
from mmbench.metrics.arithmetic.kernel import KernelDistance, kernel_distance
from mmbench.statistics.estimates import bootstrap_score, resample_indices
from mmbench.statistics.extrapolation import extrapolate, finite_sample_floor
from mmbench.types import Extractor, Features, FeatureTable, Score

NUM_REPLICATES = 1000  # standard error of the standard error: 2 %


@dataclass(frozen=True, eq=False)
class Reference:
    """The real clips of a Fréchet distance: their moments, and where they are known, their features.

    Attributes:
        moments: Of all rows.
        clips: (k, d) float features per clip; None where only statistics are known.
        num_clips: Clips behind the moments.
        floor: The distance between random halves of the clips; None where there are too few.
    """

    moments: Moments
    clips: list[np.ndarray] | None
    num_clips: int
    floor: float | None

    @classmethod
    def of(cls, clips: list[np.ndarray], ddof: int, seed: int) -> Reference:
        """The reference that (k, d) features per clip make."""
        floor = None
        if len({clip.shape for clip in clips}) == 1 and len(clips) >= 4:
            floor = finite_sample_floor(partial(_distance, ddof=ddof), np.stack(clips), seed=seed).value
        return cls(Moments.of(np.concatenate(clips)), clips, len(clips), floor)

    def statistics(self) -> Features:
        """Sufficient statistics: n rows, mean (d,), scatter (d, d), number of clips, floor (NaN for None)."""
        floor = float("nan") if self.floor is None else self.floor
        return {**self.moments.arrays(), "clips": np.array(self.num_clips), "floor": np.array(floor)}

    @classmethod
    def from_statistics(cls, arrays: Mapping[str, np.ndarray]) -> Reference:
        """The reference that `statistics` describes; without clips there is no kernel distance and no infinity."""
        floor = float(arrays["floor"])
        return cls(Moments.from_arrays(arrays), None, int(arrays["clips"]), None if np.isnan(floor) else floor)


class FrechetMetric:
    """A Fréchet distance between features of generated and of real clips.

    Attributes:
        feature: The extractor's entry that is compared, (d,) or (k, d).
        ddof: 0 divides covariances by the number of rows, 1 by one less.
        kernel_distance: The kernel distance on the same features, computed too.
    """

    name: str
    variant: str
    version: int = 1
    higher_is_better: bool = False
    needs_reference: bool = True
    feature: ClassVar[str]
    ddof: ClassVar[int]
    kernel_distance: ClassVar[KernelDistance]
    extractor: Extractor

    def extractors(self) -> Sequence[Extractor]:
        """The network."""
        return (self.extractor,)

    def condense(self, reference: FeatureTable, seed: int) -> dict[str, Features]:
        """Sufficient statistics of real clips, by extractor; `score` takes them, as a single entry, for the clips.

        Raises:
            MMBenchError: Fewer than two clips.
        """
        clips = _rows(reference[self.extractor.name], self.feature)
        if len(clips) < 2:
            raise MMBenchError(f"{self.name} was given {len(clips)} real clips.", "at least 2", "a larger reference")
        return {self.extractor.name: Reference.of(clips, self.ddof, seed).statistics()}

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Distance of the generated from the real clips.

        Raises:
            MMBenchError: There is no reference.
        """
        if reference is None:
            raise MMBenchError(f"{self.name} was given no real clips.", "a reference set", "name a dataset")
        ours, theirs = _rows(features[self.extractor.name], self.feature), reference[self.extractor.name]
        if len(theirs) == 1 and theirs[0] is not None and "scatter" in theirs[0]:
            return frechet_score(ours, Reference.from_statistics(theirs[0]), self.ddof, seed, self.kernel_distance)
        real = _rows(theirs, self.feature)
        if min(len(ours), len(real)) < 2:
            return _nothing(len(real), len(features[self.extractor.name]))
        return frechet_score(ours, Reference.of(real, self.ddof, seed), self.ddof, seed, self.kernel_distance)


def _rows(table: Sequence[Features | None], feature: str) -> list[np.ndarray]:
    """(k, d) features of the clips that have any."""
    return [np.atleast_2d(f[feature]) for f in table if f is not None]


def _nothing(num_reference: int, num_samples: int = 0) -> Score:
    few = dict.fromkeys(range(num_samples), f"too few real clips: {num_reference}") if num_reference < 2 else {}
    details = {"num_reference": num_reference}
    return Score(value=float("nan"), stderr=None, num_scored=0, details=details, reasons=few)


def frechet_score(ours: list[np.ndarray], reference: Reference, ddof: int, seed: int, kind: KernelDistance) -> Score:
    """Score of generated against real clips; NaN with nothing scored if there are fewer than two.

    Args:
        ours: (k, d) features per generated clip.
        reference: The real clips.
        ddof: 0 divides covariances by the number of rows, 1 by one less.
        seed: Seed of all resampling; equal seeds and counts pair the replicates of two systems.
        kind: The kernel distance that is computed too.

    Returns:
        The score. Details: `num_reference` clips; `floor`, the distance between random halves of the real clips;
        `infinity`, the distance at infinite n, and `infinity_points`, n and mean distance of the parts that it was
        fitted to; the kernel distance; `authentic`, the share of clips that are not
        copies of real ones; each with `_stderr`; None where there are too few clips or only the reference's statistics,
        `infinity` and `authentic` also where clips have different numbers of rows.
    """
    n = len(ours)
    if n < 2:
        return _nothing(reference.num_clips)
    rows, clips = np.concatenate(ours), np.repeat(np.arange(n), [len(clip) for clip in ours])
    value = frechet_distance(Moments.of(rows), reference.moments, ddof)
    indices = resample_indices(n, NUM_REPLICATES, seed)
    replicates = frechet_replicates(rows, reference.moments, indices, ddof, clips)
    details: dict[str, Any] = {"num_reference": reference.num_clips, "floor": reference.floor}
    details |= dict.fromkeys(("infinity", "infinity_stderr", kind, f"{kind}_stderr", "authentic", "authentic_stderr"))
    if reference.clips is not None:
        details |= _at_infinity(ours, reference.clips, ddof, seed) | kernel_distance(kind, ours, reference.clips)
        details |= _authenticity(ours, reference.clips)
    return bootstrap_score(value, replicates, n, details=details)


def _distance(a: np.ndarray, b: np.ndarray, ddof: int) -> float:
    """Of (n, k, d) and (m, k, d) features."""
    moments = [Moments.of(side.reshape(-1, side.shape[-1])) for side in (a, b)]
    return frechet_distance(moments[0], moments[1], ddof)


def _authenticity(ours: list[np.ndarray], theirs: list[np.ndarray]) -> dict[str, float]:
    if len({clip.shape for clip in (*ours, *theirs)}) > 1:
        return {}  # clips of different lengths have no distance
    return authenticity(np.stack(ours).reshape(len(ours), -1), np.stack(theirs).reshape(len(theirs), -1))


def _at_infinity(ours: list[np.ndarray], theirs: list[np.ndarray], ddof: int, seed: int) -> dict[str, Any]:
    if len({clip.shape for clip in (*ours, *theirs)}) > 1:
        return {}  # clips of different lengths do not weigh the same
    try:
        found = extrapolate(partial(_distance, ddof=ddof), np.stack(ours), np.stack(theirs), seed=seed)
    except MMBenchError:  # too few clips
        return {}
    points = [[len(ours) // parts, value] for parts, value in found.points]
    return {"infinity": found.value, "infinity_stderr": found.stderr, "infinity_points": points}
