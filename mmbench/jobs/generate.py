"""Generates the runs that a user asked for: `mmbench generate`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mmbench.files import append_line
from mmbench.jobs.given_clips import clips_of_dataset
from mmbench.jobs.opening import make_metrics, metric_names, open_dataset
from mmbench.jobs.settings import Settings
from mmbench.optional_protocols import KeepsFiles, OnVideos, batch_size_of
from mmbench.progress import Progress, Stage, track
from mmbench.registry import metric_settings
from mmbench.runs.circumstances import invocation
from mmbench.runs.find import is_run
from mmbench.runs.generate import Shard, StopSignal, generate
from mmbench.runs.shared_videos import videos_for
from mmbench.runs.spec import RunSpec, make_requests, make_runspec
from mmbench.runs.store import RESOURCES, SampleStore, note_invocation
from mmbench.runs.usage import Usage
from mmbench.system_names import divide_settings, make_system, read_options, refuse_idle_guidance
from mmbench.types import Dataset, System


@dataclass(frozen=True)
class Plan:
    """One system's run before it starts."""

    system: System
    dataset: Dataset
    run: RunSpec


def plan(settings: Settings, dataset: Dataset | None = None, scored: bool = False) -> list[Plan]:
    """The runs that `settings` asks for; unknown names and settings that nothing takes end here.

    Args:
        settings: What a user set.
        dataset: Its dataset, where that is open already.
        scored: Metrics score the runs afterwards, so a setting that they take (weights) need not be a system's.
    """
    settings.check()
    dataset = dataset or open_dataset(settings.dataset)
    plans = []
    options = read_options(settings.options, settings.systems)
    refuse_idle_guidance(settings.options, settings.systems)
    common: dict[str, Any] = {
        "dataset": dataset,
        "device": settings.device,
        "dtype": settings.dtype,
        "weights": settings.weights,
    }
    metrics = metric_names(settings, dataset) if scored else ()
    shared = divide_settings(common, settings.systems, {key for name in metrics for key in metric_settings(name)})
    for name in dict.fromkeys(settings.systems):
        system = make_system(name, **shared[name], **options[name])
        called = system.name if ":" in name else name  # external:FILE.toml by the name that the file gives it
        plans.append(Plan(system, dataset, make_runspec(system, dataset, settings.seed, called, settings.dataset)))
    return plans


def preview_plan(settings: Settings, scored: bool = False) -> list[dict[str, Any]]:
    """What a dry run shows: run ids, what is there already, what would be made. Writes nothing.

    Metrics that cannot score the runs are refused as `mmbench.jobs.opening.make_metrics` refuses them.
    """
    rows = []
    dataset = open_dataset(settings.dataset)
    plans = plan(settings, dataset, scored)
    if scored:
        make_metrics(settings, dataset, [clips_of_dataset(dataset, settings.num_samples, settings.seed)])
    for p in plans:
        folder = settings.out / p.run.run_id
        status = SampleStore.open(folder).status(settings.num_samples) if is_run(folder) else None
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


def generate_runs(settings: Settings, launched: bool = False) -> list[SampleStore]:
    """Generate what is missing of every run of a job; see `make_samples`.

    Args:
        settings: What a user set.
        launched: A launcher started the processes of all shards: the first waits for the others, which show nothing.
    """
    follows = launched and settings.shard is not None and settings.shard.rank > 0
    with track(settings.quiet or follows) as job:
        plans = plan(settings)
        made = dict(make_samples(settings, plans, plan_generation(job, settings, plans)))
        stores = [made[k] for k in range(len(plans))]
        for store in stores if launched and not follows else ():
            wait_for_others(store, settings.num_samples, job)
    return stores


def plan_generation(job: Progress, settings: Settings, plans: Sequence[Plan]) -> list[Stage]:
    """Add a stage for each run to a job: the samples of it that this process makes."""
    shard = settings.shard or Shard()
    mine = sum(index in shard for index in range(settings.num_samples))
    return [job.plan("generate", p.run.system, mine) for p in plans]


def make_samples(
    settings: Settings, plans: Sequence[Plan], stages: Sequence[Stage]
) -> Iterator[tuple[int, SampleStore]]:
    """Generate what is missing of each run; those that show another system's videos come after it.

    Yields:
        The place of a run among `plans`, and its samples, as soon as they are made.

    Raises:
        StoppedError: A signal or a full disk ended it.
    """
    for k in sorted(range(len(plans)), key=lambda k: plans[k].run.video_of != ""):
        p, stage = plans[k], stages[k]
        requests = make_requests(p.dataset, settings.num_samples, settings.seed)
        store = SampleStore.create(settings.out, p.run)
        note_invocation(store.folder, invocation(list(settings.command), settings.resolved()))
        if isinstance(p.system, OnVideos):
            p.system.use_videos(videos_for(p.run, settings.out))
        if isinstance(p.system, KeepsFiles):
            p.system.keep_files_in(store.folder / "work")
        with StopSignal().listening() as stop, stage, _noting_usage(store):
            generate(
                store,
                p.system,
                requests,
                shard=settings.shard,
                batch_size=settings.batch_size or batch_size_of(p.system),
                retry_failed=settings.retry_failed,
                pack=settings.pack,
                stage=stage,
                stop=stop,
                beside=settings.beside > 1,
            )
        yield k, store


def wait_for_others(store: SampleStore, num: int, job: Progress) -> None:
    """Wait for those of the first `num` samples that other processes make; one that dies ends its launcher and us."""
    if not (missing := len(store.status(num).missing)):
        return
    with job.plan("wait for other processes:", store.run.system, missing) as stage:
        while left := len(store.status(num).missing):
            stage.advance(missing - left - stage.done)
            time.sleep(1.0)


@contextmanager
def _noting_usage(store: SampleStore) -> Iterator[None]:
    """Add to the run's resources.jsonl what making samples took, if any were made."""
    usage = Usage()
    try:
        yield
    finally:
        if store.made:
            append_line(store.folder / RESOURCES, {"samples": store.made, **usage.report()})


def shard_from(text: str | None, environ: Mapping[str, str] = os.environ) -> Shard:
    """--shard, or what a launcher's environment says."""
    return Shard.parse(text) if text else Shard.from_environment(environ)
