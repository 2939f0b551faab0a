"""From features per clip to a Score by the Fréchet distance; the bootstrap keeps the rows of a clip together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmbench.metrics.frechet import Moments, frechet_distance, frechet_replicates
from mmbench.statistics import bootstrap_estimate, resample_indices
from mmbench.types import Features, Score

NUM_REPLICATES = 1000  # standard error of the standard error: 2 %


def _rows(features: Sequence[Features | None], key: str) -> tuple[np.ndarray, np.ndarray]:
    """(rows, d) of the clips that have features, and the (rows,) number of each row's clip among these."""
    parts = [np.atleast_2d(f[key]) for f in features if f is not None]
    clips = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    return (np.concatenate(parts) if parts else np.empty((0, 0))), clips


def frechet_score(
    generated: Sequence[Features | None], real: Sequence[Features | None], key: str, ddof: int, seed: int
) -> Score:
    """Score of generated against real clips; NaN with nothing scored if either side has fewer than two.

    Args:
        generated: Features per clip, None where missing; entry `key` is (d,) or (k, d).
        real: Likewise, of the reference.
        key: Name of the entry.
        ddof: 0 divides covariances by the number of rows, 1 by one less.
        seed: Seed of the resampling; equal seeds and counts pair the replicates of two systems.
    """
    rows, clips = _rows(generated, key)
    real_rows, real_clips = _rows(real, key)
    n, n_real = (int(c[-1]) + 1 if len(c) else 0 for c in (clips, real_clips))
    details = {"num_reference": n_real, "rows": len(rows), "rows_reference": len(real_rows)}
    if min(n, n_real) < 2:
        return Score(value=float("nan"), stderr=None, num_scored=0, details=details)
    reference = Moments.of(real_rows)
    value = frechet_distance(Moments.of(rows), reference, ddof)
    replicates = frechet_replicates(rows, reference, resample_indices(n, NUM_REPLICATES, seed), ddof, clips)
    stderr = bootstrap_estimate(value, replicates, n).stderr
    return Score(value=value, stderr=stderr, num_scored=n, replicates=replicates, details=details)
