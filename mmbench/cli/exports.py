"""`mmbench export`: runs and clips, laid out for other benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, show_rows


def export(
    names: Annotated[list[str], typer.Argument(help="Runs (id, beginning of it, or folder), or folders of clips.")],
    layout: opt.Layout,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where it goes; several go to folders in it.")],
    runs: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    num_samples: Annotated[
        int | None, typer.Option("--num-samples", "-n", min=1, help="For runs: first N samples.")
    ] = None,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="H.264 4:2:0 and AAC, for what reads no lossless H.264.")
    ] = False,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Lay clips out as another benchmark reads them: its names, folders and prompts, without loss.

    Layouts: av-benchmark, javisbench, verse-bench, t2av-compass, vbench. Stopped at any moment, the same command
    continues. `mmbench evaluate FOLDER --layout NAME` is the way back.

    Examples:

      mmbench export tiny-bounce --layout av-benchmark --out for_av_benchmark

      mmbench export my_samples --layout vbench --out for_vbench
    """
    from mmbench.jobs.export import export_all

    command = ("mmbench", *sys.argv[1:])
    rows, notes = export_all(names, layout, out, runs, num_samples, lossy, command, format is not Format.table)
    columns = ["from", "layout", "clips", "written", "left out", "lossy", "folder"]
    show_rows(rows, columns, format, notes=notes)
