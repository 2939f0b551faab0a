"""`mmbench report`: one page to look at, listen to and cite."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, show_rows


def report(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Runs (id, beginning of it, or folder), or clips; default: all runs.")
    ] = None,
    num_samples: Annotated[
        int | None, typer.Option("--num-samples", "-n", min=1, help="First samples that are shown; default: all.")
    ] = None,
    metric: opt.Metric = None,
    out: opt.Out = Path("runs"),
    to: Annotated[Path | None, typer.Option(help="Where the report goes; default: OUT/report.")] = None,
    workers: opt.Workers = None,
    format: opt.Form = Format.table,
) -> None:
    """Write a report of what is scored: verdicts, table, plots, and every sample to play side by side.

    Its index.html needs no server and nothing from outside; hand on the whole folder.

    Examples:

      mmbench report

      mmbench report tiny-bounce tiny+mmdisco-res_frieren-bounce --num-samples 16 --to report
    """
    import os

    from mmbench.progress import progress
    from mmbench.report.material import gather
    from mmbench.report.write import write_report

    command = ("mmbench", *sys.argv[1:])
    material = gather(runs or (), out, num_samples, metric or (), command)
    with progress("report", len(material.rows), quiet=format is not Format.table) as bar:
        rows = write_report(material, to or out / "report", [shlex.join(command)], workers or os.cpu_count() or 1, bar)
    show_rows(rows, ["file", "what"], format, notes=material.notes)
