"""`mmbench run`, `generate` and `evaluate`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mmbench.cli import options as opt
from mmbench.cli.compare import Baseline, By
from mmbench.console import Format, setup, show_notes, show_rows
from mmbench.errors import IncompleteError

SHEET_SAMPLES = 4  # of the contact sheet that a run ends with


def _settings(**given: Any) -> Any:
    """Settings from options; options left at None keep the defaults of the embedded job."""
    from mmbench.jobs.settings import Settings

    setup(given.pop("verbose"))
    if given.pop("offline", False):
        os.environ["MMBENCH_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"
    chosen: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if v is not None}
    return Settings(**chosen, command=("mmbench", *sys.argv[1:]))


def _plan_only(settings: Any, format: Format, scored: bool = False) -> None:
    from mmbench.jobs.generate import preview_plan

    columns = ["run", "system", "dataset", "seed", "present", "failed", "to make", "metrics"]
    show_rows(preview_plan(settings, scored), columns, format, "Dry run: nothing is written")


def _print_cells(
    settings: Any, columns: Any, format: Format, title: str, notes: Sequence[str] = (), long: bool = False
) -> None:
    from mmbench.tables.narrow import show_comparison
    from mmbench.tables.suite_table import suite_table

    show_comparison(columns, format, title, notes, long, suite_table(settings.suite, skipped=settings.skip))


def run(
    system: opt.System = None,
    dataset: opt.Dataset = "bounce",
    num_samples: opt.NumSamples = 64,
    seed: opt.Seed = 0,
    out: opt.Out = Path("runs"),
    metric: opt.Metric = None,
    suite: opt.Suite = "",
    skip: opt.Skip = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    batch_size: opt.BatchSize = None,
    option: opt.Options = None,
    weights: opt.Networks = "real",
    workers: opt.Workers = None,
    retry_failed: opt.Retry = False,
    pack: opt.Pack = False,
    offline: opt.Offline = False,
    dry_run: opt.DryRun = False,
    long: opt.Long = False,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Generate, evaluate and record systems, and compare each with the first.

    Stopped at any moment, the same command continues.

    Examples:

      mmbench run

      mmbench run --system ground_truth --system independent --dataset bounce --num-samples 64

      mmbench run --dataset folder:my_clips --metric av_align.matched --num-samples 100 --seed 1

      mmbench run --system ground_truth --dataset 'bounce?seconds=8' --suite v2a
    """
    from mmbench.jobs.generate import shard_from
    from mmbench.jobs.run import run as run_job
    from mmbench.tables.compare import table_of

    settings = _settings(
        systems=system,
        dataset=dataset,
        num_samples=num_samples,
        seed=seed,
        out=out,
        metrics=metric,
        suite=suite,
        skip=skip,
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        options=option,
        weights=weights,
        workers=workers,
        retry_failed=retry_failed,
        pack=pack,
        shard=shard_from(None),
        quiet=format is not Format.table,
        offline=offline,
        verbose=verbose,
    )
    if dry_run:
        return _plan_only(settings, format, scored=True)
    scored = run_job(settings)
    if not scored:  # the first process of the launcher prints
        return None
    columns = table_of(scored)
    _print_cells(settings, columns, format, f"{dataset}, n = {num_samples}, seed {seed}; records in {out}", long=long)
    if format is Format.table:
        _print_end(columns, [*dict.fromkeys(s.folder for s in scored)], out)
    failed = sum({s.record.run_id: s.record.n_failed for s in scored}.values())
    if failed:
        raise IncompleteError(f"{failed} samples failed or are damaged.", "", "the same command with --retry-failed")
    return None


def _print_end(columns: Any, folders: Sequence[Path], out: Path) -> None:
    """What a run ends with: where its contact sheet is, and the verdict on what is guided."""
    from mmbench.pictures.columns import open_columns
    from mmbench.pictures.preview import preview
    from mmbench.tables.verdicts import conclude

    verdicts = conclude(columns)
    rows, notes = preview(open_columns(folders, out), SHEET_SAMPLES, out / "preview", film=False)
    sheets = ", ".join(row["file"] for row in rows)
    show_notes([f"Contact sheet, heard and seen events marked: {sheets}", *notes])
    if verdicts:
        show_notes(["Does guidance help? By paired excess, with 95 % intervals:", *verdicts])


def generate(
    system: opt.System = None,
    dataset: opt.Dataset = "bounce",
    num_samples: opt.NumSamples = 64,
    seed: opt.Seed = 0,
    out: opt.Out = Path("runs"),
    shard: Annotated[str | None, typer.Option(help="RANK/COUNT; else from RANK/WORLD_SIZE or SLURM.")] = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    batch_size: opt.BatchSize = None,
    option: opt.Options = None,
    weights: opt.Networks = "real",
    retry_failed: opt.Retry = False,
    pack: opt.Pack = False,
    offline: opt.Offline = False,
    dry_run: opt.DryRun = False,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Make samples and store them, without evaluating.

    Examples:

      mmbench generate --system ground_truth --num-samples 128

      mmbench generate --system independent --shard 0/2 --out part0

      torchrun --nproc-per-node 8 -m mmbench generate --system ground_truth --num-samples 2048 --pack
    """
    from mmbench.jobs.generate import generate_runs, shard_from

    settings = _settings(
        systems=system,
        dataset=dataset,
        num_samples=num_samples,
        seed=seed,
        out=out,
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        options=option,
        weights=weights,
        retry_failed=retry_failed,
        pack=pack,
        shard=shard_from(shard),
        quiet=format is not Format.table,
        offline=offline,
        verbose=verbose,
    )
    if dry_run:
        return _plan_only(settings, format)
    launched = shard is None and settings.shard.count > 1
    stores = generate_runs(settings, launched)
    if launched and settings.shard.rank:  # the first process of the launcher prints
        return None
    rows: list[dict[str, Any]] = []
    for store in stores:
        status = store.status(num_samples)
        counts = {"present": len(status.present), "failed": len(status.failed), "missing": len(status.missing)}
        rows.append({"run": store.folder.name, **counts, "folder": str(store.folder)})
    show_rows(rows, ["run", "present", "failed", "missing", "folder"], format)
    failed = sum(r["failed"] for r in rows)
    if failed:
        raise IncompleteError(f"{failed} samples failed.", "", "the same command with --retry-failed")
    return None


def evaluate(
    paths: Annotated[list[str], typer.Argument(help="Runs (id or folder), folders or tars of clips, or video files.")],
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="What clips are compared with.")] = None,
    num_samples: Annotated[
        int | None, typer.Option("--num-samples", "-n", min=1, help="For runs: first N samples.")
    ] = None,
    clip_frames: Annotated[int | None, typer.Option(help="Cut one long video into clips of so many frames.")] = None,
    clip_stride: Annotated[int | None, typer.Option(help="Frames from one clip's start to the next's.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="What to call a submission; once for each of several.")] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="CSV file,prompt; default: the one in each folder. With --layout: as that has prompts."),
    ] = None,
    layout: opt.Layout = "",
    requests: Annotated[Path | None, typer.Option(help="List of `mmbench prompts`; default: the folder's.")] = None,
    baseline: Baseline = "",
    by: By = "",
    reference: Annotated[Path | None, typer.Option(help="File of `mmbench stats`, instead of a dataset.")] = None,
    metric: opt.Metric = None,
    suite: opt.Suite = "",
    skip: opt.Skip = None,
    seed: opt.Seed = 0,
    out: opt.Out = Path("runs"),
    device: opt.Device = "auto",
    weights: opt.Networks = "real",
    workers: opt.Workers = None,
    offline: opt.Offline = False,
    long: opt.Long = False,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Score runs again, or anybody's clips; several are compared, sample by sample.

    Examples:

      mmbench evaluate runs/ground_truth-bounce-s0-1a2b3c4d --metric av_align.matched

      mmbench evaluate my_samples --dataset vggsound --name my_model

      mmbench evaluate model_a model_b --prompts prompts.csv

      mmbench evaluate model_a model_b --prompts prompts.csv --by category

      mmbench evaluate my_samples --reference vggsound.safetensors

      mmbench evaluate my_samples --dataset vggsound --suite paper --metric desync

      mmbench evaluate landscape.mp4 --clip-frames 16 --clip-stride 17

      mmbench evaluate javis_samples --layout javisbench --prompts JavisBench-mini.csv
    """
    from mmbench.jobs.evaluate import evaluate_all
    from mmbench.jobs.generate import shard_from
    from mmbench.jobs.submissions import Cut, Texts
    from mmbench.tables.compare import table_of
    from mmbench.tables.side_by_side import compare_sets

    settings = _settings(
        dataset=dataset,
        seed=seed,
        out=out,
        metrics=metric,
        suite=suite,
        skip=skip,
        reference=reference,
        device=device,
        weights=weights,
        workers=workers,
        shard=shard_from(None),
        quiet=format is not Format.table,
        offline=offline,
        verbose=verbose,
    )
    paths = list(dict.fromkeys(paths))
    cut = Cut(clip_frames, clip_stride)
    texts = Texts(prompts, requests, layout)
    sets = evaluate_all(settings, paths, dataset, num_samples, cut, name or (), texts, by)
    if settings.follows:  # the first process of the launcher prints
        return None
    first = sets[0][0].record
    title = f"Compared; records in {out}"
    if len(sets) == 1:
        title = f"{first.system}, n = {first.n_expected}; records in {sets[0][0].folder}"
        if not by:
            return _print_cells(settings, table_of(sets[0]), format, title, long=long)
    found = compare_sets(sets, baseline, paths, by)
    return _print_cells(settings, found.columns, format, title, found.notes, long)
