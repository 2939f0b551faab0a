"""What an `Evaluator` computes with, from what a user named: metrics with their networks, and real clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmbench.api.arguments import as_sequence
from mmbench.api.reference import EXAMPLES, Real
from mmbench.errors import UsageError
from mmbench.features.cache import FeatureCache
from mmbench.jobs.settings import DEFAULT_METRICS
from mmbench.optional_protocols import RecommendsMetrics
from mmbench.registry import make_metric
from mmbench.scores.evaluate import Evaluation
from mmbench.scores.missing_weights import find_all_weights
from mmbench.types import Metric, distinct_extractors

WITH_REAL_CLIPS = ("fvd", "fad", *DEFAULT_METRICS)  # of real clips that recommend none


@dataclass(frozen=True)
class Asked:
    """What a user asked of an evaluator.

    Attributes:
        metrics: Names, with or without a variant.
        weights: "real", or "random" to try the plumbing.
        device: A torch device; "auto" takes a GPU if there is one.
        seed: Of shuffles, resamplings and the order of a dataset's real clips.
        workers: Processes for extractors without networks.
        cache: Folder where features of real clips are kept; "" for none.
    """

    metrics: Sequence[str]
    weights: str
    device: str
    seed: int
    workers: int
    cache: str


def place_of_cache(cache: str | Path | None) -> str:
    """The absolute path of a folder for features, "" for none; UsageError if it is a file."""
    if not cache:
        return ""
    if Path(cache).exists() and not Path(cache).is_dir():
        raise UsageError(f"cache is the file {cache}.", "a folder, which may be new", 'cache="features"')
    return str(Path(cache).absolute())


def choose_metrics(metrics: str | Sequence[str] | None, real: Real) -> tuple[str, ...]:
    """The metrics asked for, or those that the real clips recommend or, if they recommend none, allow."""
    if metrics is not None:
        names = (metrics,) if isinstance(metrics, str) else tuple(dict.fromkeys(as_sequence("metrics", metrics)))
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise UsageError(f"metrics holds {wrong[0]!r}.", "names of metrics", 'metrics=("av_align",)')
        if not names:
            raise UsageError("No metric is named.", "at least one", 'metrics=("av_align",)')
        return names
    if isinstance(real, RecommendsMetrics):
        return tuple(real.default_metrics)
    return DEFAULT_METRICS if real is None else WITH_REAL_CLIPS


def make_metrics(asked: Asked, has_reference: bool) -> list[Metric]:
    """The metrics, with weights where they have any; missing ones end it here, not in hours.

    Raises:
        UsageError: An unknown metric or kind of weights, or one that compares with real clips where there are none.
    """
    if asked.weights not in ("real", "random"):
        raise UsageError(f"weights is {asked.weights!r}.", "real, or random to try the plumbing", 'weights="real"')
    metrics = [make_metric(name, device=asked.device, weights=asked.weights) for name in asked.metrics]
    for metric in metrics:
        if metric.needs_reference and not has_reference:
            raise UsageError(f"{metric.name} compares with real clips.", EXAMPLES, 'reference="my_real_clips"')
    find_all_weights(distinct_extractors(metrics))
    return metrics


def open_evaluation(asked: Asked, metrics: Sequence[Metric], real: Any) -> Evaluation:
    """The evaluation; `real` as of `Evaluation`."""
    return Evaluation(metrics, real, FeatureCache(Path(asked.cache) if asked.cache else None), asked.workers)
