"""Metrics that choose or guide samples, as part of a run's identity: with values per sample, without real clips."""

from __future__ import annotations

from functools import cache

from mmbench.code_identity import code_digest
from mmbench.features.extract import find_weights
from mmbench.features.extractor_identity import identify_extractor
from mmbench.registry import make_metric
from mmbench.types import Metric, Spec, Weights, full_name, is_untrained

ROOMS = ("mmbench.metrics", "mmbench.statistics")  # whose code decides a score, beside the extractors'


def make_scorer(name: str, weights: Weights, device: str = "auto") -> Metric:
    """A metric for the samples of a pair; its networks have random weights if the pair's are untrained.

    Args:
        name: Of the metric, or name.variant.
        weights: Of the pair.
        device: Where its networks run.
    """
    settings = {"device": device} | ({"weights": "random"} if is_untrained(weights) else {})
    return make_metric(name, **settings)


def find_scorer_weights(scorer: Metric) -> None:
    """Raise MMBenchError unless the weights of all its networks are here; says how to fetch them."""
    for extractor in scorer.extractors():
        find_weights(extractor)


def identify_scorer(scorer: Metric) -> Spec:
    """All that decides a metric's values: name, version, extractors with weights and code, its own code."""
    extractors = [identify_extractor(e) for e in scorer.extractors()]
    code = _code(type(scorer).__module__)
    return {"metric": full_name(scorer), "version": scorer.version, "extractors": extractors, "code": code}


@cache
def _code(module: str) -> str:
    return code_digest([module], ROOMS)
