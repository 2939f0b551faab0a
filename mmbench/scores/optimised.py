"""Whether a metric judges samples that were chosen or guided by it, or by a network that it looks through."""

from __future__ import annotations

from collections.abc import Mapping

from mmbench.optional_protocols import UsesPublishedWeights
from mmbench.registry import make_metric
from mmbench.runs.spec import RunSpec
from mmbench.types import Extractor, Metric


def optimised_for(run: RunSpec, metric: Metric) -> str:
    """The metric that a run's samples were chosen or guided by, name.variant, if it is `metric` or shares with it.

    Two metrics share if they are variants of one, use an extractor of one name, or networks with the same weights. A
    system declares its metric in its spec, under "optimised_for".

    Args:
        run: Of the samples.
        metric: That they are scored with.

    Returns:
        The declared metric; "" where there is none, or `metric` has nothing to do with it.

    Raises:
        UsageError: There is no metric of the declared name here.
    """
    system = run.spec.get("system")
    name = str(system.get("optimised_for", "")) if isinstance(system, Mapping) else ""
    if not name:
        return ""
    declared = make_metric(name)
    seen = [set().union(*map(_networks, m.extractors())) for m in (declared, metric)]
    return name if declared.name == metric.name or seen[0] & seen[1] else ""


def _networks(extractor: Extractor) -> set[str]:
    """An extractor's name, and what tells its network from others: the first of its files, or their digest."""
    if isinstance(extractor, UsesPublishedWeights):
        return {extractor.name, extractor.official[0]}  # tokenizers follow the network
    return {extractor.name, str(extractor.spec().get("weights", extractor.name))}
