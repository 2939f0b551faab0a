"""`mmbench profile`: seconds and memory of training steps and of generated pairs, beside the paper's."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mmbench.cli import options as opt
from mmbench.cli.options import Loss
from mmbench.console import Format, setup, show_rows


class What(StrEnum):
    """What is timed."""

    training = "training"
    inference = "inference"


def profile(
    what: Annotated[What, typer.Argument(help="Steps of training (Table 11), or generated pairs (Table 12).")],
    system: Annotated[list[str], typer.Option("--system", "-s", help="System; pairs are guided and not.")],
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Whose format; default: as published.")] = None,
    discriminator: Annotated[str, typer.Option(help="Design, where the system names none.")] = "res_mlp",
    loss: Annotated[Loss, typer.Option(help="Of training: both terms, or one alone.")] = Loss.all,
    channels: Annotated[int | None, typer.Option(help="C of the trained discriminator.")] = None,
    blocks: Annotated[int | None, typer.Option(help="L of the trained discriminator.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs of a batch.")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="Rounds that count, after one that does not.")] = 10,
    weights: Annotated[str, typer.Option(help="real, or random: as fast, and nothing to download.")] = "random",
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    option: opt.Options = None,
    cpu_time: Annotated[bool, typer.Option("--cpu-time", help="Processor time, where others use the machine.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of profile.jsonl.")] = Path("runs"),
    format: opt.Form = Format.table,
) -> None:
    """Time what the paper times, side by side in one process, with the published numbers below.

    Every line, with all its rounds, the machine and the versions, is kept in profile.jsonl.

    Examples:

      mmbench profile inference -s mm_diffusion -s auffusion_vc2 --dtype float16

      mmbench profile training -s mm_diffusion --discriminator res_frieren --runs 50

      mmbench profile inference -s tiny --device cpu --batch-size 16
    """
    from mmbench.experiments.profiling import profile as profiling
    from mmbench.experiments.profiling.stopwatch import Stopwatch
    from mmbench.files import append_line
    from mmbench.runs.circumstances import invocation

    setup()
    resolved = {k: v for k, v in locals().items() if isinstance(v, str | int | list)}
    given = {"channels": channels, "num_blocks": blocks}
    sizes = {name: value for name, value in given.items() if value is not None}
    rows: list[dict[str, Any]] = []
    out.mkdir(parents=True, exist_ok=True)
    for name in system:
        place = profiling.dataset_of(name, dataset)
        made = profiling.build(name, discriminator, place, option or (), device=device, dtype=dtype, weights=weights)
        watch = Stopwatch(time.process_time if cpu_time else time.perf_counter)
        batch = profiling.requests_of(place, batch_size)
        found = profiling.measure(what.value, made, batch, runs, watch, loss.value, **sizes)
        append_line(out / "profile.jsonl", found | invocation(["mmbench", *sys.argv[1:]], resolved))
        rows += profiling.rows_of(found)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    unit = f"{'pair' if what.value == 'inference' else 'step'}, batches of {batch_size}"
    kind = "Processor seconds" if cpu_time else "Seconds"
    notes = [f"{kind} per {unit}: mean ± standard deviation; rounds: {runs}, all in {out / 'profile.jsonl'}."]
    if len(system) > 1:
        notes.append("Resident memory after the first system may hold what an earlier one left: profile it alone.")
    show_rows(rows, columns, format, f"Table {profiling.TABLES[what.value]}", notes)
