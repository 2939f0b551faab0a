"""Opens what a job names, once: its dataset, its metrics with their networks, the real clips it compares with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mmbench.console import log
from mmbench.dataset_names import parse_dataset_name
from mmbench.errors import UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.reference import ReferenceFile, read_reference
from mmbench.jobs.given_clips import GivenClips
from mmbench.jobs.retyped import retype
from mmbench.jobs.settings import DEFAULT_METRICS, Settings
from mmbench.jobs.suites import choose_metrics, refuse_suite, require_long_clips, require_prompts
from mmbench.optional_protocols import LacksRealClips, NeedsLength, RecommendsMetrics, RejectsFiles, in_pairs
from mmbench.registry import make_dataset, make_metric
from mmbench.scores.evaluate import Evaluation
from mmbench.types import Dataset, Metric, full_name


def open_dataset(name: str) -> Dataset:
    """The dataset called `name`; warns of each of its files that it cannot use."""
    dataset: Dataset = make_dataset(name)
    for bad in dataset.rejected if isinstance(dataset, RejectsFiles) else ():
        log.warning("%s is not used: %s", bad.path, bad.reason)
    return dataset


def open_real_clips(settings: Settings, dataset: str | None) -> Dataset | ReferenceFile | None:
    """The real clips to compare with: the reference file asked for, else those of a dataset, else none."""
    if settings.reference is not None:
        return read_reference(settings.reference)
    return open_dataset(dataset) if dataset else None


@contextmanager
def open_evaluation(
    settings: Settings, real: Dataset | ReferenceFile | None, given: Sequence[GivenClips] = ()
) -> Iterator[Evaluation]:
    """The metrics of a job with their networks, real clips and known features; what was found is kept at the end.

    Arguments as of `make_metrics`.
    """
    with FeatureCache(settings.out / "features", settings.processes) as cache:
        yield Evaluation(make_metrics(settings, real, given), real, cache, settings.workers)


def metric_names(settings: Settings, real: Dataset | ReferenceFile | None) -> Sequence[str]:
    """Names of the metrics asked for, or of those that the dataset recommends or the file was made for."""
    if chosen := choose_metrics(settings):
        return chosen
    return real.default_metrics if isinstance(real, RecommendsMetrics) else DEFAULT_METRICS


def require_length(metric: str, seconds: float, dataset: Dataset, typed: str) -> None:
    """Raise UsageError if the clips of a dataset, which was typed so, are shorter than a metric needs [s]."""
    if dataset.format.seconds >= seconds:
        return
    name = parse_dataset_name(typed)
    name = name if name.base == dataset.name else parse_dataset_name(dataset.name)
    longer = replace(name, options=name.options | {"seconds": max(8, math.ceil(seconds))})
    found = f"{metric} needs clips of {seconds:g} s; those of {name} have {dataset.format.seconds:g} s."
    raise UsageError(found, "longer clips, or other metrics", f"--dataset '{longer}'")


def make_metrics(
    settings: Settings, real: Dataset | ReferenceFile | None, given: Sequence[GivenClips] = ()
) -> list[Metric]:
    """The metrics of a job.

    Args:
        settings: What a user set.
        real: The real clips to compare with.
        given: The clips to score, where a suite or metrics by name are asked for that may not be able to score them.

    Raises:
        UsageError: A metric compares with real clips and there are none, or it needs longer clips than the dataset's
            or any that are given.
            Of a suite, all such metrics, and those that need prompts or longer clips than any that are given.
    """
    names = metric_names(settings, real)
    metrics: list[Metric] = [make_metric(name, device=settings.device, weights=settings.weights) for name in names]
    found: dict[str, UsageError] = {}
    for metric in metrics:
        try:
            _require_real_clips(metric, settings, real)
            if settings.suite:
                require_long_clips(metric, given)
                require_prompts(metric, given)
            elif given:
                require_long_clips(metric, [max(given, key=lambda clips: clips.seconds)])
        except UsageError as error:
            if not settings.suite:
                raise
            found[full_name(metric)] = error
    if found:
        raise refuse_suite(settings, found, len(metrics))
    return metrics


def _require_real_clips(metric: Metric, settings: Settings, real: Dataset | ReferenceFile | None) -> None:
    if metric.needs_reference and real is None:
        again = retype(settings.command, "--dataset", "bounce")
        raise UsageError(f"{metric.name} compares with real clips.", "a dataset, such as bounce", again)
    if metric.needs_reference and isinstance(real, LacksRealClips):
        remedy = "mmbench evaluate RUN --reference FILE, made by mmbench stats export"
        raise UsageError(f"{metric.name}: {real.lacks_real_clips}", "real clips, or other metrics", remedy)
    if in_pairs(metric) and isinstance(real, ReferenceFile):
        found = f"{full_name(metric)} compares each clip with its own real one, which {real.name}'s file does not hold."
        raise UsageError(found, "the real clips themselves, or other metrics", "--dataset NAME, without --reference")
    if isinstance(metric, NeedsLength) and not (real is None or isinstance(real, ReferenceFile)):
        require_length(full_name(metric), metric.min_seconds, real, settings.dataset)
