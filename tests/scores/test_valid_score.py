"""What a metric of a user's own may return by mistake, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmbench.errors import MMBenchError
from mmbench.scores.valid_score import require_score
from mmbench.types import Score, ShuffledPairs

ONES, FIRST = np.ones(3), np.arange(3)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, "loud returned a NoneType"),
        (0.5, "loud returned a float"),
        (Score(1.0, None, 1, per_sample=np.ones(1)), r"per_sample of shape \(1,\)"),
        (Score(float("inf"), None, 3, per_sample=ONES), "the value inf for 3 scored"),
        (Score(1.0, None, 3, per_sample=ONES * np.inf), "the value 1.0 for 3 scored"),
        (Score(float("nan"), None, 3), "the value nan for 3 scored"),
        (
            Score(1.0, None, 3, per_sample=ONES, details={"x": np.float32(3)}),
            "details that cannot be .*float32",
        ),
        (Score(1.0, None, 3, per_sample=ONES, details={"x": float("nan")}), "details that cannot be written"),
        (Score(1.0, None, 3, per_sample=ONES, shuffled=ShuffledPairs(FIRST, FIRST + 2, ONES)), "none of 3 samples"),
        (Score(1.0, None, 3, per_sample=ONES, shuffled=ShuffledPairs(FIRST, FIRST[:2], ONES)), "none of 3 samples"),
        (Score(1.0, None, 3, per_sample=ONES, shuffled=ShuffledPairs(FIRST, ONES, ONES)), "none of 3 samples"),
    ],
)
def test_what_cannot_be_recorded_is_refused(given: Any, found: str) -> None:
    with pytest.raises(MMBenchError, match=found) as error:
        require_score("loud", given, 3)
    assert error.value.expected


def test_scores_with_and_without_values_pass() -> None:
    for score in (Score(1.0, 0.1, 2, per_sample=np.array([1, 1, np.nan])), Score(float("nan"), None, 0)):
        assert require_score("loud", score, 3) is score
