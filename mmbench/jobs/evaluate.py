"""Scores runs and anybody's clips: `mmbench evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmbench.console import log, progress
from mmbench.errors import MMBenchError, UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, find_weights
from mmbench.features.reference import ReferenceFile, export
from mmbench.identity import digest_of
from mmbench.jobs.opening import make_metrics, metric_names, open_dataset, open_evaluation, open_real_clips
from mmbench.jobs.settings import Settings
from mmbench.optional_protocols import whole
from mmbench.runs.circumstances import invocation
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore, create_run_folder, note_invocation
from mmbench.scores.accounting import Counts
from mmbench.scores.evaluate import Evaluation, stored_samples
from mmbench.scores.records import Scored
from mmbench.types import distinct_extractors


def export_reference(settings: Settings, path: Path, statistics_only: bool) -> ReferenceFile:
    """Write what metrics need of a dataset's real clips; without names, its recommended metrics that need them."""
    settings.check()
    dataset = whole(open_dataset(settings.dataset))
    chosen = make_metrics(settings, dataset)
    metrics = chosen if settings.metrics else [m for m in chosen if m.needs_reference]
    if not metrics:
        raise UsageError(f"No metric of {settings.dataset} needs real clips.", "metrics that do", "--metric fvd")
    for extractor in distinct_extractors(metrics):
        find_weights(extractor)
    num, seed = settings.num_samples, settings.seed
    with FeatureCache(settings.out / "features") as cache:
        return export(
            path, dataset, metrics, num, seed, cache, statistics_only=statistics_only, workers=settings.workers
        )


def evaluate_run(settings: Settings, folder: Path, num: int | None) -> list[Scored]:
    """Score a run of ours again: its first `num` samples, or all that are on disk."""
    if not (folder / "samples").is_dir():
        raise MMBenchError(f"{folder} holds records of a submission, no samples.", "", "mmbench evaluate THE_CLIPS")
    store = SampleStore.open(folder)
    if num is None:
        status = store.status()
        num = max([*status.present, *status.failed], default=-1) + 1
    with open_evaluation(settings, open_real_clips(settings, store.run.dataset)) as evaluation:
        return score_store(settings, evaluation, store, num or settings.num_samples)


def score_store(settings: Settings, evaluation: Evaluation, store: SampleStore, num: int) -> list[Scored]:
    """Score the first `num` samples of a run."""
    samples, counts = stored_samples(store, num)
    return _score(settings, evaluation, store.folder, store.run, samples, counts)


def evaluate_submission(
    settings: Settings, path: Path, dataset: str | None, clip_frames: int | None, clip_stride: int | None, name: str
) -> list[Scored]:
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
    real = open_real_clips(settings, dataset)
    if real is not None and not isinstance(real, ReferenceFile):
        real = whole(real)
    texts = read_prompts(path) if path.is_dir() else {}
    spec = {"submission": submission_digest(sources), "n": len(sources), "dataset": dataset, "texts": digest_of(texts)}
    if isinstance(real, ReferenceFile):
        dataset, spec["dataset"] = real.name, real.sha256
    run = RunSpec(name or path.stem, dataset or "none", settings.seed, "real", spec)
    samples: list[Sample | None] = [Sample(s, texts.get(Path(s.path).name, "")) for s in sources]
    failures = {len(sources) + k: (Path(bad.path).name, bad.reason) for k, bad in enumerate(rejected)}
    counts = Counts(len(sources) + len(rejected), failures)
    with open_evaluation(settings, real) as evaluation:
        evaluation.find_weights()
        folder = create_run_folder(settings.out, run)
        given = {"path": str(path), "clip_frames": clip_frames, "clip_stride": clip_stride, "dataset": dataset}
        resolved = {
            k: v for k, v in settings.resolved().items() if k in ("seed", "reference", "device", "workers", "out")
        }
        metrics = list(metric_names(settings, real))
        note_invocation(folder, invocation(list(settings.command), {**given, "metrics": metrics, **resolved}))
        return _score(settings, evaluation, folder, run, [*samples, *[None] * len(rejected)], counts)


def _score(
    settings: Settings,
    evaluation: Evaluation,
    folder: Path,
    run: RunSpec,
    samples: Sequence[Sample | None],
    counts: Counts,
) -> list[Scored]:
    with progress(f"evaluate {run.system}", sum(s is not None for s in samples), settings.quiet) as bar:
        return evaluation.score(folder, run, samples, counts, bar)
