"""`mmbench profile`: seconds and memory of training steps and of generated pairs, beside the paper's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mmbench.cli import options as opt
from mmbench.cli.options import Loss
from mmbench.console import Format, setup, show_rows
from mmbench.errors import UsageError


class What(StrEnum):
    """The work that is timed."""

    training = "training"
    inference = "inference"
    flops = "flops"
    precision = "precision"


def profile(
    what: Annotated[
        What, typer.Argument(help="Steps of training (Table 11), generated pairs (Table 12), or operations.")
    ],
    system: Annotated[
        list[str] | None, typer.Option("--system", "-s", help="System; pairs are guided and not. Repeat.")
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Whose format; default: as published.")] = None,
    discriminator: Annotated[str, typer.Option(help="Design, where the system names none.")] = "res_mlp",
    loss: Annotated[Loss, typer.Option(help="Of training: both terms, or one alone.")] = Loss.all,
    channels: Annotated[int | None, typer.Option(help="C of the discriminator.")] = None,
    blocks: Annotated[int | None, typer.Option(help="L of the discriminator.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs of a batch.")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="Rounds that count, after one that does not.")] = 10,
    weights: Annotated[str, typer.Option(help="real, or random: as fast, and nothing to download.")] = "random",
    device: opt.Device = "auto",
    dtype: Annotated[
        str | None, typer.Option(help="float32, float16, bfloat16; default: as published on a GPU, else float32.")
    ] = None,
    checkpointing: Annotated[
        str, typer.Option(help="Of base models in training: auto (as published), on, off.")
    ] = "auto",
    option: opt.Options = None,
    cpu_time: Annotated[bool, typer.Option("--cpu-time", help="Processor time, where others use the machine.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of profile.jsonl.")] = Path("runs"),
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Time what the paper times, side by side in one process, with the published numbers below.

    Every line, with all its rounds, the machine and the versions, is kept in profile.jsonl.

    Examples:

      mmbench profile inference -s mm_diffusion -s auffusion_vc2

      mmbench profile training -s mm_diffusion --discriminator res_frieren --runs 50

      mmbench profile inference -s tiny --device cpu --batch-size 16

      mmbench profile flops -s mm_diffusion -s auffusion_vc2

      mmbench profile precision -s tiny
    """
    setup()
    given = {"channels": channels, "num_blocks": blocks}
    sizes = {name: value for name, value in given.items() if value is not None}
    if what is What.flops:
        return _show_flops(system or (), format, sizes=sizes, num=batch_size, dataset=dataset, options=option or ())
    if not system:
        raise UsageError(f"profile {what.value} of no system.", "one or more", f"mmbench profile {what.value} -s tiny")
    if what is What.precision:
        how = {"dataset": dataset, "device": device, "weights": weights, "options": option or ()}
        return _show_precision(system, discriminator, format, **how)
    from mmbench.experiments.profiling.profile import ProfileSettings, profile_systems

    settings = ProfileSettings(
        what=what.value,
        systems=system,
        dataset=dataset,
        discriminator=discriminator,
        loss=loss.value,
        sizes=sizes,
        batch_size=batch_size,
        runs=runs,
        weights=weights,
        device=device,
        dtype=dtype,
        checkpointing=checkpointing,
        options=option or (),
        cpu_time=cpu_time,
        out=out,
        command=("mmbench", *sys.argv[1:]),
    )
    table = profile_systems(settings)
    show_rows(table.rows, table.columns, format, table.title, table.notes)
    if table.error is not None:
        raise table.error
    return None


def _show_flops(systems: Sequence[str], format: Format, **how: Any) -> None:
    from mmbench.experiments.profiling import flops_table

    rows = flops_table.count_systems(systems, **how)
    shown = rows if format is Format.json else [flops_table.format_row(row) for row in rows]
    columns = flops_table.COLUMNS + flops_table.TRAINING_COLUMNS
    step = f"step: losses and backward pass of training on {how['num']} real and as many generated pairs."
    show_rows(shown, columns, format, "Floating-point operations", [*flops_table.NOTES, step])


def _show_precision(systems: Sequence[str], design: str, format: Format, **how: Any) -> None:
    from mmbench.experiments.profiling.precision import COLUMNS, NOTES, measure_precision

    rows = measure_precision(systems, design, **how)
    if format is not Format.json:
        rows = [{name: f"{v:.1e}" if isinstance(v, float) else v for name, v in row.items()} for row in rows]
    show_rows(rows, COLUMNS, format, "Error of the gradient", NOTES)
