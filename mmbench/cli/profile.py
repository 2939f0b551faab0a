"""`mmbench profile`: seconds and memory of training steps and of generated pairs, beside the paper's."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.cli.options import Loss
from mmbench.console import Format, setup, show_rows


class What(StrEnum):
    """The work that is timed."""

    training = "training"
    inference = "inference"


def profile(
    what: Annotated[What, typer.Argument(help="Steps of training (Table 11), or generated pairs (Table 12).")],
    system: Annotated[list[str], typer.Option("--system", "-s", help="System; pairs are guided and not.")],
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
    format: opt.Form = Format.table,
) -> None:
    """Time what the paper times, side by side in one process, with the published numbers below.

    Every line, with all its rounds, the machine and the versions, is kept in profile.jsonl.

    Examples:

      mmbench profile inference -s mm_diffusion -s auffusion_vc2

      mmbench profile training -s mm_diffusion --discriminator res_frieren --runs 50

      mmbench profile inference -s tiny --device cpu --batch-size 16
    """
    from mmbench.experiments.profiling.profile import ProfileSettings, profile_systems

    setup()
    sizes = {"channels": channels, "num_blocks": blocks}
    settings = ProfileSettings(
        what=what.value,
        systems=system,
        dataset=dataset,
        discriminator=discriminator,
        loss=loss.value,
        sizes={name: value for name, value in sizes.items() if value is not None},
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
