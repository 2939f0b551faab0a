"""Scores runs and anybody's clips, several in one job: `mmbench evaluate`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from mmbench.errors import UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample
from mmbench.features.reference import ReferenceFile, export, real_features
from mmbench.jobs.given_clips import GivenClips, clips_of_samples
from mmbench.jobs.labels import label_samples, require_label
from mmbench.jobs.opening import make_metrics, metric_names, open_dataset, open_evaluation, open_real_clips
from mmbench.jobs.retyped import without
from mmbench.jobs.settings import Settings
from mmbench.jobs.submissions import (
    FROM_FOLDER,
    WHOLE,
    Cut,
    Submission,
    Texts,
    count_samples,
    find_set,
    label_paths,
    open_run,
    open_submission,
)
from mmbench.optional_protocols import whole
from mmbench.progress import track
from mmbench.runs.circumstances import invocation
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore, create_run_folder, note_invocation
from mmbench.scores.accounting import Counts
from mmbench.scores.evaluate import Evaluation, stored_samples
from mmbench.scores.missing_weights import find_all_weights
from mmbench.scores.progress import ScoringStages, plan_scoring
from mmbench.scores.records import Scored
from mmbench.types import Dataset, distinct_extractors


def export_reference(settings: Settings, path: Path, statistics_only: bool) -> ReferenceFile | None:
    """Write what metrics need of a dataset's real clips; without names, its recommended metrics that need them.

    The processes of a launcher share the work; the first of them writes, and what the others return is None.
    """
    settings.check()
    dataset = whole(open_dataset(settings.dataset))
    chosen = make_metrics(settings, dataset)
    metrics = chosen if settings.metrics else [m for m in chosen if m.needs_reference]
    if not metrics:
        raise UsageError(f"No metric of {settings.dataset} needs real clips.", "metrics that do", "--metric fvd")
    find_all_weights(extractors := distinct_extractors(metrics))
    num, seed = settings.num_samples, settings.seed
    with FeatureCache(settings.out / "features", settings.processes) as cache:
        if settings.follows:
            real_features(dataset, num, seed, extractors, cache, settings.workers)
            return None
        return export(
            path, dataset, metrics, num, seed, cache, statistics_only=statistics_only, workers=settings.workers
        )


def evaluate_all(
    settings: Settings,
    names: Sequence[str],
    dataset: str | None = None,
    num: int | None = None,
    cut: Cut = WHOLE,
    labels: Sequence[str] = (),
    texts: Texts = FROM_FOLDER,
    by: str = "",
) -> list[list[Scored]]:
    """Score runs and submissions in one job: dataset, metrics and networks are opened once.

    Args:
        settings: Metrics, reference file, seed and where records go.
        names: Each a run (folder, id, beginning of an id), a folder of clips, or a video.
        dataset: What submissions are compared with; by default the dataset of the runs among them.
        num: Of runs, score the first `num` samples; by default all that are on disk.
        cut: How one long video is cut into clips.
        labels: What submissions are called, in their order; by default like their folder or file.
        texts: Where names and prompts of submissions come from; by default each folder says.
        by: What samples will be grouped by: "prompt", or a label that those of every set must have.

    Returns:
        The scores of each, in order; [] from the processes of a launcher that follow the first, whose work they share.

    Raises:
        UsageError: Two of one name, labels that are not one per submission, runs of other datasets, or no sample to
            be grouped by `by`.
    """
    settings.check()
    found = {name: find_set(name, settings.out, settings.command) for name in names}
    stores = {name: open_run(folder) for name, folder in found.items() if folder is not None}
    dataset = _shared_dataset([store.run.dataset for store in stores.values()], dataset, settings.reference)
    real = open_real_clips(settings, dataset)
    if real is not None and not isinstance(real, ReferenceFile) and not stores:
        real = whole(real)
    called = dict(zip(paths := [n for n in names if n not in stores], label_paths(paths, labels), strict=True))
    submissions = {name: open_submission(Path(name), called[name], cut, texts) for name in paths}
    runs = {name: run_samples(store, num or count_samples(store), real) for name, store in stores.items()}
    if by:
        both = {name: known for name, (known, _) in runs.items()} | {n: s.samples for n, s in submissions.items()}
        require_label(both, by, shlex.join(without(settings.command, "--by")))
    sizes = {name: counts.expected for name, (_, counts) in runs.items()}
    sizes |= {name: given.counts.expected for name, given in submissions.items()}
    given: list[GivenClips] = []
    if settings.suite or settings.metrics:
        given = [clips_of_samples(name, known) for name, (known, _) in runs.items()]
        given += [clips_of_samples(name, submission.samples) for name, submission in submissions.items()]
    with open_evaluation(settings, real, given) as evaluation, track(settings.quiet or settings.follows) as job:
        evaluation.find_weights()
        if settings.follows:
            for name, store in stores.items():
                evaluation.compute_features(store.run, runs[name][0])
            for submission in submissions.values():
                run = _run_of(settings, submission, dataset, real)
                evaluation.compute_features(run, submission.samples)
            return []
        planned = plan_scoring(job, evaluation.sizes, [(called.get(name) or name, sizes[name]) for name in names])
        out = []
        for name, stages in zip(names, planned, strict=True):
            if name in stores:
                store = stores[name]
                out.append(evaluation.score(store.run, *runs[name], stages).save(store.folder))
            else:
                out.append(_score_submission(settings, evaluation, submissions[name], dataset, real, stages))
        return out


def _shared_dataset(of_runs: Sequence[str], given: str | None, reference: Path | None) -> str | None:
    """The dataset that a job compares with: as given, else that of its runs."""
    if given and reference:
        raise UsageError("Both a dataset and a reference file are given.", "one of them", "leave out --dataset")
    known = list(dict.fromkeys([*([given] if given else []), *of_runs]))
    if len(known) > 1:
        raise UsageError(f"Runs and --dataset are of {', '.join(known)}.", "one dataset", f"--dataset {of_runs[0]}")
    return known[0] if known else None


def run_samples(
    store: SampleStore, num: int, real: Dataset | ReferenceFile | None
) -> tuple[Sequence[Sample | None], Counts]:
    """The first `num` samples of a run, with what its dataset knows of their prompts."""
    samples, counts = stored_samples(store, num)
    if real is None or isinstance(real, ReferenceFile):
        return samples, counts
    return label_samples(samples, real, store.run.seed), counts


def score_store(
    evaluation: Evaluation, store: SampleStore, num: int, dataset: Dataset, stages: ScoringStages
) -> list[Scored]:
    """Score the first `num` samples of a run on `dataset`."""
    return evaluation.score(store.run, *run_samples(store, num, dataset), stages).save(store.folder)


def _run_of(
    settings: Settings, given: Submission, dataset: str | None, real: Dataset | ReferenceFile | None
) -> RunSpec:
    """The identity of clips made elsewhere."""
    if isinstance(real, ReferenceFile):
        return given.as_run(real.name, settings.seed, real.sha256)
    return given.as_run(dataset, settings.seed)


def _score_submission(
    settings: Settings,
    evaluation: Evaluation,
    given: Submission,
    dataset: str | None,
    real: Dataset | ReferenceFile | None,
    stages: ScoringStages,
) -> list[Scored]:
    run = _run_of(settings, given, dataset, real)
    folder = create_run_folder(settings.out, run)
    resolved = {k: v for k, v in settings.resolved().items() if k in ("seed", "reference", "device", "workers", "out")}
    metrics = list(metric_names(settings, real))
    clips = {"path": str(given.path), **vars(given.cut), "layout": given.layout}
    told = {**clips, "dataset": run.dataset, "metrics": metrics, **resolved}
    note_invocation(folder, invocation(list(settings.command), told))
    return evaluation.score(run, given.samples, given.counts, stages).save(folder)
