"""Opens what a job names: its dataset, its metrics, the real clips it compares with."""

from __future__ import annotations

from collections.abc import Sequence

from mmbench.console import log
from mmbench.errors import UsageError
from mmbench.features.reference import ReferenceFile, read_reference
from mmbench.jobs.settings import DEFAULT_METRICS, Settings
from mmbench.registry import make_dataset, make_metric
from mmbench.types import Dataset, Extractor, Metric, RecommendsMetrics, RejectsFiles


def open_dataset(name: str) -> Dataset:
    """The dataset called `name`; says which of its files it cannot use."""
    dataset: Dataset = make_dataset(name)
    for bad in dataset.rejected if isinstance(dataset, RejectsFiles) else ():
        log.warning("%s is not used: %s", bad.path, bad.reason)
    return dataset


def metric_names(settings: Settings, dataset: Dataset | ReferenceFile | None) -> Sequence[str]:
    """The metrics asked for, or those the dataset recommends or the file was made for."""
    recommended = dataset.default_metrics if isinstance(dataset, RecommendsMetrics) else DEFAULT_METRICS
    return tuple(settings.metrics) or recommended


def make_metrics(settings: Settings, dataset: Dataset | ReferenceFile | None) -> list[Metric]:
    names = metric_names(settings, dataset)
    metrics: list[Metric] = [make_metric(name, device=settings.device, weights=settings.weights) for name in names]
    for metric in metrics:
        if metric.needs_reference and dataset is None:
            raise UsageError(f"{metric.name} compares with real clips.", "a dataset", "--dataset NAME")
    return metrics


def compared_with(settings: Settings, dataset: str | None) -> Dataset | ReferenceFile | None:
    """What real clips there are: the reference file asked for, else those of a dataset, else none."""
    if settings.reference is not None:
        return read_reference(settings.reference)
    return make_dataset(dataset) if dataset else None


def prepare(extractor: Extractor) -> None:
    """Let a network look for its weights; raises what `extract` would, before any work is lost."""
    look = getattr(extractor, "prepare", None)
    if look is not None:
        look()
