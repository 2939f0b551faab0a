"""Whether what a metric returned is a Score that can be recorded; a metric of a user's own may return anything."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.types import Score


def require_score(metric: str, given: Any, num_samples: int) -> Score:
    """The Score that a metric returned for so many samples.

    Raises:
        MMBenchError: It is none, has another number of values than samples, infinity, or details that JSON has not.
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
    try:
        json.dumps(dict(given.details), allow_nan=False)
    except (TypeError, ValueError) as error:
        expected = "float, int, str, None, lists and dicts of them; float(x) and x.tolist() make these"
        raise MMBenchError(f"{metric} returned details that cannot be written: {error}.", expected) from None
    return given
