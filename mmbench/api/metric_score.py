"""One metric's value for a program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmbench.scores.records import Record
from mmbench.types import Score


@dataclass(frozen=True, eq=False)
class MetricScore:
    """A metric's value on one set of clips, with what is needed to judge it.

    Attributes:
        metric: Name and variant.
        excess, excess_stderr, excess_low, excess_high: The value less its baseline, which pairing alone gives, with an
            error that knows both are of the same clips; None without a baseline.
        value: The metric; NaN where it is undefined.
        stderr: Its standard error; None without one.
        low, high: Its 95 % interval; None without one.
        n: Clips that entered the value.
        unscored: Id of each other clip, and why it did not.
        baseline, baseline_stderr: The same with sounds beside videos, or prompts, of other clips; or None.
        higher_is_better: Which direction is good.
        signature: name | variant | extractors | sizes | version; numbers of equal signatures may be compared.
        details: Further numbers of the metric.
        per_sample: (clips,) float64 in the order of ids, NaN where unscored; None for metrics of the whole set.
    """

    metric: str
    excess: float | None
    excess_stderr: float | None
    excess_low: float | None
    excess_high: float | None
    value: float
    stderr: float | None
    low: float | None
    high: float | None
    n: int
    unscored: Mapping[str, str]
    baseline: float | None
    baseline_stderr: float | None
    higher_is_better: bool
    signature: str
    details: Mapping[str, Any]
    per_sample: np.ndarray | None

    def __float__(self) -> float:
        return self.value


def as_metric_score(record: Record, score: Score, samples: Sequence[Mapping[str, Any]]) -> MetricScore:
    """A record for a program: with the values per sample, and the reason of each sample that has none."""
    return MetricScore(
        metric=record.metric,
        excess=record.excess,
        excess_stderr=record.excess_stderr,
        excess_low=record.excess_low,
        excess_high=record.excess_high,
        value=math.nan if record.value is None else record.value,
        stderr=record.stderr,
        low=record.low,
        high=record.high,
        n=record.n_scored,
        unscored={str(sample["id"]): sample["unscored"] for sample in samples if "unscored" in sample},
        baseline=record.baseline,
        baseline_stderr=record.baseline_stderr,
        higher_is_better=record.higher_is_better,
        signature=record.signature,
        details=record.details,
        per_sample=score.per_sample,
    )
