"""What the commands do: plan, generate, evaluate, compare. The command line only parses and prints."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmbench.compare import Cell, adjust, compare
from mmbench.console import log, progress
from mmbench.errors import IncompleteError, MMBenchError, UsageError
from mmbench.evaluate import Counts, score_samples, stored_samples
from mmbench.feature_cache import FeatureCache
from mmbench.features import Sample
from mmbench.generate import Shard, StopSignal, generate
from mmbench.reference import ReferenceFile, export, read_reference
from mmbench.registry import make_dataset, make_metric, make_system, read_options
from mmbench.results import Record, read_records, run_folders
from mmbench.runspec import RunSpec, digest_of, invocation, make_requests, make_runspec
from mmbench.shared_videos import videos_for
from mmbench.store import RESOURCES, SampleStore, append_line, create_run_folder, note_invocation, read_manifest
from mmbench.types import Dataset, Extractor, Metric, System
from mmbench.usage import Usage

DEFAULT_SYSTEMS = (
    "ground_truth",
    "independent",
    "tiny",
    "tiny_cascade",
    "tiny+mmdisco",
    "tiny+mmdisco-res_frieren",
)
DEFAULT_METRICS = ("av_align",)


@dataclass(frozen=True)
class Settings:
    """What a user set; the defaults are the embedded default job."""

    systems: Sequence[str] = DEFAULT_SYSTEMS
    dataset: str = "bounce"
    num_samples: int = 64
    seed: int = 0
    out: Path = Path("runs")
    metrics: Sequence[str] = ()
    reference: Path | None = None
    device: str = "auto"
    dtype: str = "float32"
    weights: str = "real"
    batch_size: int | None = None
    options: Sequence[str] = ()
    workers: int | None = None
    shard: Shard | None = None
    retry_failed: bool = False
    quiet: bool = False
    command: Sequence[str] = field(default_factory=tuple)

    def check(self) -> None:
        """Refuse what cannot work before anything is written."""
        if self.num_samples < 1:
            raise UsageError(f"--num-samples is {self.num_samples}.", "a whole number from 1", "--num-samples 64")
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"--batch-size is {self.batch_size}.", "a whole number from 1", "--batch-size 8")
        if self.weights not in ("real", "random"):
            raise UsageError(f"--weights is {self.weights!r}.", "real, or random to try the plumbing", "--weights real")
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"--out {self.out} is a file.", "a folder", "--out runs")

    def resolved(self) -> dict[str, Any]:
        """Every option with the value it had, for the manifest."""
        shown = {k: v for k, v in vars(self).items() if k not in ("command", "shard", "quiet")}
        return {k: str(v) if isinstance(v, Path) else list(v) if isinstance(v, tuple) else v for k, v in shown.items()}


def open_dataset(name: str) -> Dataset:
    """The dataset called `name`; says which of its files it cannot use."""
    dataset: Dataset = make_dataset(name)
    for bad in getattr(dataset, "rejected", ()):
        log.warning("%s is not used: %s", bad.path, bad.reason)
    return dataset


@dataclass(frozen=True)
class Plan:
    """One system's run before it starts."""

    system: System
    dataset: Dataset
    run: RunSpec


def plan(settings: Settings) -> list[Plan]:
    """The runs that `settings` asks for; unknown names end here."""
    settings.check()
    dataset = open_dataset(settings.dataset)
    plans = []
    options = read_options(settings.options, settings.systems)
    common: dict[str, Any] = {
        "dataset": dataset,
        "device": settings.device,
        "dtype": settings.dtype,
        "weights": settings.weights,
    }
    for name in dict.fromkeys(settings.systems):
        system = make_system(name, **common, **options[name])
        called = system.name if ":" in name else name  # external:FILE.toml by the name that the file gives it
        plans.append(Plan(system, dataset, make_runspec(system, dataset, settings.seed, called, settings.dataset)))
    return plans


def preview_plan(settings: Settings) -> list[dict[str, Any]]:
    """What a dry run shows: run ids, what is there already, what would be made. Writes nothing."""
    rows = []
    for p in plan(settings):
        folder = settings.out / p.run.run_id
        status = SampleStore.open(folder).status(settings.num_samples) if folder.is_dir() else None
        present, failed = (len(status.present), len(status.failed)) if status else (0, 0)
        rows.append(
            {
                "run": p.run.run_id,
                "system": p.run.system,
                "dataset": p.run.dataset,
                "seed": settings.seed,
                "present": present,
                "failed": failed,
                "to make": settings.num_samples - present - (0 if settings.retry_failed else failed),
                "metrics": ", ".join(metric_names(settings, p.dataset)),
            }
        )
    return rows


def metric_names(settings: Settings, dataset: Dataset | ReferenceFile | None) -> Sequence[str]:
    """The metrics asked for, or those the dataset recommends or the file was made for."""
    return tuple(settings.metrics) or getattr(dataset, "default_metrics", DEFAULT_METRICS)


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


def prepare(extractor: Extractor) -> None:
    """Let a network look for its weights; raises what `extract` would, before any work is lost."""
    look = getattr(extractor, "prepare", None)
    if look is not None:
        look()


def generate_runs(settings: Settings) -> list[SampleStore]:
    """Generate what is missing of every run; those that show another system's videos come after it.

    Raises:
        StoppedError: A signal or a full disk ended it.
    """
    plans, stores = plan(settings), {}
    with StopSignal().listening() as stop:
        for p in sorted(plans, key=lambda p: p.run.video_of != ""):
            requests = make_requests(p.dataset, settings.num_samples, settings.seed)
            store = SampleStore.create(settings.out, p.run)
            note_invocation(store.folder, invocation(list(settings.command), settings.resolved()))
            if p.run.video_of:
                p.system.videos = videos_for(p.run, settings.out)  # type: ignore[attr-defined]
            if hasattr(p.system, "work_folder"):
                p.system.work_folder = store.folder / "work"
            with progress(f"generate {p.run.system}", len(requests), settings.quiet) as bar, _noting_usage(store):
                generate(
                    store,
                    p.system,
                    requests,
                    shard=settings.shard,
                    batch_size=settings.batch_size or int(getattr(p.system, "batch_size", 1)),
                    retry_failed=settings.retry_failed,
                    progress=bar,
                    stop=stop,
                )
            stores[p.run.system] = store
    return [stores[p.run.system] for p in plans]


@contextmanager
def _noting_usage(store: SampleStore) -> Iterator[None]:
    """Add to the run's resources.jsonl what making samples took, if any were made."""
    usage = Usage()
    try:
        yield
    finally:
        if store.made:
            append_line(store.folder / RESOURCES, {"samples": store.made, **usage.report()})


def run(settings: Settings) -> list[list[Cell]]:
    """Generate, evaluate and record every system; returns one list of cells per metric.

    Of the processes of a launcher the first waits for the others and does what follows generation; theirs is [].

    Raises:
        IncompleteError: Samples are still missing: another process makes them.
    """
    for metric in make_metrics(settings, make_dataset(settings.dataset)):  # what is wrong ends here, not in hours
        for extractor in metric.extractors():
            prepare(extractor)
    stores = generate_runs(settings)
    shard = settings.shard or Shard()
    if shard.rank:
        return []
    for store in stores:
        while shard.count > 1 and store.status(settings.num_samples).missing:
            time.sleep(1.0)  # if one of them dies, its launcher ends us, too
        missing = len(store.status(settings.num_samples).missing)
        if missing:
            raise IncompleteError(
                f"{store.folder.name} still lacks {missing} of {settings.num_samples} samples.",
                "all shards done",
                "the same command again when the other processes have finished",
            )
    records = [evaluate_run(settings, store.folder) for store in stores]
    return table_of([(s.folder, r) for s, rs in zip(stores, records, strict=True) for r in rs])


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
    from mmbench.datasets.folder import read_prompts
    from mmbench.sources import submission, submission_digest

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


def find_run(name: str, out: Path) -> Path | None:
    """A run's folder by path, id, or unique beginning of its id."""
    if (Path(name) / "manifest.json").is_file():
        return Path(name)
    matches = [f for f in run_folders(out) if f.name == name] or [
        f for f in run_folders(out) if f.name.startswith(name)
    ]
    if len(matches) > 1:
        names = ", ".join(f.name for f in matches)
        raise UsageError(f"{name!r} could be {names}.", "one run", f"mmbench show {matches[0].name}")
    return matches[0] if matches else None


def list_runs(out: Path) -> list[dict[str, Any]]:
    """One row per run in `out`; a damaged one is listed with what is wrong."""
    rows: list[dict[str, Any]] = []
    for folder in run_folders(out):
        try:
            spec, records = read_manifest(folder), read_records(folder)
        except MMBenchError as error:
            rows.append({"run": folder.name, "status": f"damaged: {error.found}"})
            continue
        has_samples = (folder / "samples").is_dir()
        status = SampleStore.open(folder).status() if has_samples else None
        rows.append(
            {
                "run": folder.name,
                "system": spec.system,
                "dataset": spec.dataset,
                "seed": spec.seed,
                "weights": spec.weights,
                "present": len(status.present) if status else None,
                "failed": len(status.failed) if status else None,
                "records": ", ".join(dict.fromkeys(r.metric for r in records)),
                "status": "" if has_samples else "submission",
            }
        )
    return rows


def merge(parts: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Bring the samples of runs in several folders together under `out`."""
    rows = []
    for part in parts:
        folders = [part] if (part / "manifest.json").is_file() else run_folders(part)
        if not folders:
            raise MMBenchError(f"{part} holds no run.", "a run's folder, or an --out folder", f"ls {part}")
        for folder in folders:
            other = SampleStore.open(folder)
            store = SampleStore.create(out, other.run)
            added = store.merge(other)
            status = store.status()
            rows.append(
                {"run": store.folder.name, "from": str(part), "added": added, "present": len(status.present)}
                | ({"failed": len(status.failed)} if status.failed else {})
            )
    return rows


def shard_from(text: str | None, environ: Mapping[str, str] = os.environ) -> Shard:
    """--shard, or what a launcher's environment says."""
    return Shard.parse(text) if text else Shard.from_environment(environ)
