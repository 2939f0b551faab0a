"""From features per clip to a Score by the Fréchet distance; resampling keeps the rows of a clip together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.extrapolation import extrapolate, finite_sample_floor
from mmbench.metrics.frechet import Moments, frechet_distance, frechet_replicates
from mmbench.statistics import bootstrap_estimate, resample_indices
from mmbench.types import Features, Score

NUM_REPLICATES = 1000  # standard error of the standard error: 2 %


def frechet_score(
    generated: Sequence[Features | None], real: Sequence[Features | None], key: str, ddof: int, seed: int
) -> Score:
    """Score of generated against real clips; NaN with nothing scored if either side has fewer than two.

    Args:
        generated: Features per clip, None where missing; entry `key` is (d,) or (k, d).
        real: Likewise, of the reference.
        key: Name of the entry.
        ddof: 0 divides covariances by the number of rows, 1 by one less.
        seed: Seed of all resampling; equal seeds and counts pair the replicates of two systems.

    Returns:
        The score. Details: `num_reference` clips; `floor`, the distance between random halves of the real clips, and
        `infinity` with `infinity_stderr`, the distance at infinite n, None where there are too few clips.
    """
    ours, theirs = ([np.atleast_2d(f[key]) for f in side if f is not None] for side in (generated, real))
    n, n_real = len(ours), len(theirs)
    if min(n, n_real) < 2:
        return Score(value=float("nan"), stderr=None, num_scored=0, details={"num_reference": n_real})
    rows, reference = np.concatenate(ours), Moments.of(np.concatenate(theirs))
    clips = np.repeat(np.arange(n), [len(clip) for clip in ours])
    value = frechet_distance(Moments.of(rows), reference, ddof)
    replicates = frechet_replicates(rows, reference, resample_indices(n, NUM_REPLICATES, seed), ddof, clips)
    return Score(
        value=value,
        stderr=bootstrap_estimate(value, replicates, n).stderr,
        num_scored=n,
        replicates=replicates,
        details={"num_reference": n_real, **_at_other_n(ours, theirs, ddof, seed)},
    )


def _distance(a: np.ndarray, b: np.ndarray, ddof: int) -> float:
    """Of (n, k, d) and (m, k, d) features."""
    moments = [Moments.of(side.reshape(-1, side.shape[-1])) for side in (a, b)]
    return frechet_distance(moments[0], moments[1], ddof)


def _at_other_n(ours: list[np.ndarray], theirs: list[np.ndarray], ddof: int, seed: int) -> dict[str, float | None]:
    found: dict[str, float | None] = dict.fromkeys(("floor", "infinity", "infinity_stderr"))
    if len({clip.shape for clip in (*ours, *theirs)}) > 1:
        return found  # clips of different lengths do not weigh the same
    distance, a, b = partial(_distance, ddof=ddof), np.stack(ours), np.stack(theirs)
    try:
        found["floor"] = finite_sample_floor(distance, b, seed=seed).value
        at_infinity = extrapolate(distance, a, b, seed=seed)
    except MMBenchError:  # too few clips
        return found
    return {**found, "infinity": at_infinity.value, "infinity_stderr": at_infinity.stderr}
