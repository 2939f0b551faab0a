"""`mmbench sweep`: the paper's experiments that train discriminators, whole, or in miniature."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, name_follower, setup, show_rows
from mmbench.errors import IncompleteError
from mmbench.experiments.sweep.grids import GRIDS

Table = StrEnum("Table", {name: name for name in GRIDS})  # type: ignore[misc]


def sweep(
    table: Annotated[Table, typer.Argument(help="The experiment.")],
    system: Annotated[str | None, typer.Option("--system", "-s", help="A pair; default: the published one.")] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Real pairs and prompts; default: the published one.")
    ] = None,
    num_samples: opt.NumSamples = 2048,
    seed: opt.Seed = 0,
    row: Annotated[list[str] | None, typer.Option("--row", help="Only the row of this label; repeat.")] = None,
    train_seeds: Annotated[int | None, typer.Option(help="Trainings of each discriminator; default: 1, or 5.")] = None,
    sample_seeds: Annotated[
        int, typer.Option(help="Runs of one training with seeds from --seed; above 1, --train-seeds is 1.")
    ] = 1,
    epochs: Annotated[float | None, typer.Option(help="Passes over the real pairs; default: as published.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of a whole training, instead of epochs.")] = None,
    num_real: Annotated[int | None, typer.Option(help="Real pairs; all by default.")] = None,
    num_fake: Annotated[int | None, typer.Option(help="Pairs the bases make; default: as published.")] = None,
    train_batch_size: Annotated[int | None, typer.Option(help="Real pairs per step; default: as published.")] = None,
    micro_batch: Annotated[
        int | None, typer.Option(help="Pairs of training in memory at once; changes no row.")
    ] = None,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Train with less memory, in more time; changes no row.")
    ] = False,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's; default: as published.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of training: float32, bfloat16 or float16.")] = None,
    out: opt.Out = Path("runs/sweep"),
    metric: opt.Metric = None,
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
    """Train, generate and score every row of a table of the paper; its numbers stand beside.

    Stopped at any moment, the same command continues; a row that fails is noted and the others follow (exit code 3).
    Table 7: losses, 8: channels, 9: depth, 10: designs; Figure 5: scores in the course of training. To share the work,
    start the same command several times, or under a launcher: each process takes cells that no other is at.

    Examples:

      mmbench sweep table10 --dry-run

      mmbench sweep table7 --system tiny --dataset bounce -n 64 --steps 1400 --num-real 2500 --num-fake 1500

      mmbench sweep figure5 --train-seeds 5 && mmbench table --paper 8 --out runs/sweep
    """
    from mmbench.experiments.sweep.carry_out import PREVIEW_COLUMNS, preview_sweep, run_sweep
    from mmbench.experiments.sweep.cells import declare_sweep
    from mmbench.jobs.settings import Settings
    from mmbench.processes import leave_launcher
    from mmbench.tables.narrow import show_table

    setup(verbose)
    follows = bool(name_follower())
    leave_launcher()  # a process takes whole cells: a training in one is its own
    if offline:
        os.environ["MMBENCH_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"
    settings = Settings(
        systems=(),
        dataset=dataset or "",
        num_samples=num_samples,
        seed=seed,
        out=out,
        metrics=tuple(metric or ()),
        device=device,
        dtype=dtype,
        weights=weights,
        batch_size=batch_size,
        options=tuple(option or ()),
        workers=workers,
        retry_failed=retry_failed,
        pack=pack,
        quiet=follows or format is not Format.table,
        command=("mmbench", *sys.argv[1:]),
    )
    declared = declare_sweep(
        table.value,
        settings,
        system=system,
        training={
            "steps": steps,
            "epochs": epochs,
            "batch_size": train_batch_size,
            "learning_rate": learning_rate,
            "precision": precision,
        },
        num_real=num_real,
        num_fake=num_fake,
        train_seeds=train_seeds,
        sample_seeds=sample_seeds,
        rows=row or (),
        micro_batch=micro_batch,
        checkpointing=checkpointing,
    )
    if dry_run:
        return show_rows(preview_sweep(declared), PREVIEW_COLUMNS, format, "Dry run: nothing is written")
    layout, undone = run_sweep(declared)
    if follows:  # the first process of the launcher prints
        return None
    show_table(layout, format, in_full=long)
    if undone:
        raise IncompleteError(undone, "", "mend it, then the same command again; --retry-failed for failed samples")
    return None
