"""Scores runs and anybody's clips: `mmbench evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmbench.console import log, progress
from mmbench.errors import MMBenchError, UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample
from mmbench.features.reference import ReferenceFile, export
from mmbench.identity import digest_of
from mmbench.jobs.opening import compared_with, make_metrics, metric_names, open_dataset, prepare
from mmbench.jobs.settings import Settings
from mmbench.runs.circumstances import invocation
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore, create_run_folder, note_invocation
from mmbench.scores.evaluate import Counts, score_samples, stored_samples
from mmbench.scores.records import Record
from mmbench.tables.compare import Cell, adjust, compare
from mmbench.types import Dataset


def export_reference(settings: Settings, path: Path, statistics_only: bool) -> ReferenceFile:
    """Write what metrics need of a dataset's real clips; without names, its recommended metrics that need them."""
    settings.check()
    dataset = open_dataset(settings.dataset)
    chosen = make_metrics(settings, dataset)
    metrics = chosen if settings.metrics else [m for m in chosen if m.needs_reference]
    if not metrics:
        raise UsageError(f"No metric of {settings.dataset} needs real clips.", "metrics that do", "--metric fvd")
    for metric in metrics:
        for extractor in metric.extractors():
            prepare(extractor)
    num, seed, cache = settings.num_samples, settings.seed, FeatureCache(settings.out / "features")
    return export(path, dataset, metrics, num, seed, cache, statistics_only=statistics_only, workers=settings.workers)


def evaluate_run(settings: Settings, folder: Path, num: int | None = None, every: bool = False) -> list[Record]:
    """Score a run of ours: its first `num` samples (as `settings` asks by default), or with `every` all on disk."""
    if not (folder / "samples").is_dir():
        raise MMBenchError(f"{folder} holds records of a submission, no samples.", "", "mmbench evaluate THE_CLIPS")
    store = SampleStore.open(folder)
    dataset = compared_with(settings, store.run.dataset)
    if every:
        status = store.status()
        num = max([*status.present, *status.failed], default=-1) + 1
    samples, counts = stored_samples(store, num or settings.num_samples)
    return _score(settings, folder, store.run, samples, counts, dataset)


def evaluate_submission(
    settings: Settings, path: Path, dataset: str | None, clip_frames: int | None, clip_stride: int | None, name: str
) -> tuple[Path, list[Record]]:
    """Score anybody's clips: a folder of videos, video and audio pairs, or one long video cut into clips.

    A CSV file,prompt in the folder gives the texts that text scores compare with.
    """
    from mmbench.datasets.copies.texts import read_prompts
    from mmbench.media.sources import submission, submission_digest

    sources, rejected = submission(path, clip_frames=clip_frames, clip_stride=clip_stride)
    for bad in rejected:
        log.warning("%s is not scored: %s", bad.path, bad.reason)
    if dataset and settings.reference:
        raise UsageError("Both a dataset and a reference file are given.", "one of them", "leave out --dataset")
    against = compared_with(settings, dataset)
    texts = read_prompts(path) if path.is_dir() else {}
    spec = {"submission": submission_digest(sources), "n": len(sources), "dataset": dataset, "texts": digest_of(texts)}
    if isinstance(against, ReferenceFile):
        dataset, spec["dataset"] = against.name, against.sha256
    run = RunSpec(name or path.stem, dataset or "none", settings.seed, "real", spec)
    folder = create_run_folder(settings.out, run)
    asked = {"path": str(path), "clip_frames": clip_frames, "clip_stride": clip_stride, "dataset": dataset}
    resolved = {k: v for k, v in settings.resolved().items() if k in ("seed", "reference", "device", "workers", "out")}
    metrics = list(metric_names(settings, against))
    note_invocation(folder, invocation(list(settings.command), {**asked, "metrics": metrics, **resolved}))
    samples: list[Sample | None] = [Sample(s, texts.get(Path(s.path).name, "")) for s in sources]
    counts = Counts(len(sources) + len(rejected), failed=len(rejected))
    return folder, _score(settings, folder, run, [*samples, *[None] * len(rejected)], counts, against)


def _score(
    settings: Settings,
    folder: Path,
    run: RunSpec,
    samples: Sequence[Sample | None],
    counts: Counts,
    dataset: Dataset | ReferenceFile | None,
) -> list[Record]:
    cache = FeatureCache(settings.out / "features")
    with progress(f"evaluate {run.system}", sum(s is not None for s in samples), settings.quiet) as bar:
        metrics = make_metrics(settings, dataset)
        return score_samples(
            folder, run, samples, counts, metrics, dataset, cache, workers=settings.workers, progress=bar
        )


def table_of(records: Sequence[tuple[Path, Record]]) -> list[list[Cell]]:
    """Compare records metric by metric, in order of appearance, with p-values corrected over the whole table."""
    columns: dict[str, list[tuple[Path, Record]]] = {}
    for folder, record in records:
        columns.setdefault(record.metric, []).append((folder, record))
    return adjust([compare(cells) for cells in columns.values()])
