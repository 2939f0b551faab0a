"""Whether what a metric returned is a Score that can be recorded; a metric of a user's own may return anything."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.types import Score, ShuffledPairs


def require_score(metric: str, given: Any, num_samples: int) -> Score:
    """The Score that a metric returned for so many samples.

    Raises:
        MMBenchError: It is none, has another number of values than samples, infinity, pairs of other samples, or
            details that JSON has not.
    """
    remedy = "mmbench.statistics.estimates.mean_score(values) makes one"
    if not isinstance(given, Score):
        raise MMBenchError(f"{metric} returned a {type(given).__name__}.", "a Score of mmbench.types", remedy)
    values = given.per_sample
    if values is not None and np.shape(values) != (num_samples,):
        found = f"{metric} returned per_sample of shape {np.shape(values)}."
        raise MMBenchError(found, f"({num_samples},): a value per sample, NaN for what is unscored or missing", remedy)
    if (values is not None and np.isinf(values).any()) or (given.num_scored and not np.isfinite(given.value)):
        found = f"{metric} returned the value {given.value} for {given.num_scored} scored samples."
        raise MMBenchError(found, "finite numbers, and NaN in per_sample for a sample that has none", remedy)
    if (pairs := given.shuffled) is not None and not are_pairs(pairs, num_samples):
        found = f"{metric} returned shuffled pairs that are none of {num_samples} samples."
        raise MMBenchError(found, "first and second sample and value of each", "statistics.shuffled.shuffled_pairs")
    try:
        json.dumps(dict(given.details), allow_nan=False)
    except (TypeError, ValueError) as error:
        expected = "float, int, str, None, lists and dicts of them; float(x) and x.tolist() make these"
        raise MMBenchError(f"{metric} returned details that cannot be written: {error}.", expected) from None
    return given


def are_pairs(pairs: ShuffledPairs, num_samples: int) -> bool:
    """Whether first, second and values are of one length, and the samples are among so many."""
    first, second, values = (np.asarray(part) for part in (pairs.first, pairs.second, pairs.values))
    if values.ndim != 1 or {first.shape, second.shape} != {values.shape} or np.isinf(values).any():
        return False
    sides = np.concatenate([first, second])
    return sides.dtype.kind == "i" and bool(((sides >= 0) & (sides < num_samples)).all())
