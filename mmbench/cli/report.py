"""`mmbench report`: one page to look at, listen to and cite."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, show_rows
from mmbench.errors import UsageError


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs (id, beginning of it, or folder), or clips; default: all runs. With --paper: further places."
        ),
    ] = None,
    num_samples: Annotated[
        int | None, typer.Option("--num-samples", "-n", help="First samples that are shown; default: all.")
    ] = None,
    metric: opt.Metric = None,
    out: opt.Out = Path("runs"),
    to: Annotated[Path | None, typer.Option(help="Where the report goes; default: OUT/report.")] = None,
    workers: opt.Workers = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Every table and figure of the paper instead, ours beside; to OUT/paper.")
    ] = False,
    format: opt.Form = Format.table,
) -> None:
    """Write a report of what is scored: verdicts, table, plots, and every sample to play side by side.

    Its index.html needs no server and nothing from outside; hand on the whole folder.

    Examples:

      mmbench report

      mmbench report tiny-bounce tiny+mmdisco-res_frieren-bounce --num-samples 16 --to report

      mmbench report --paper results/toy --to paper
    """
    if paper:
        given = {"--num-samples": num_samples is not None, "--metric": metric, "--workers": workers is not None}
        return _report_paper(runs or (), out, to, [name for name, value in given.items() if value], format)
    import os

    from mmbench.progress import progress
    from mmbench.report.material import gather
    from mmbench.report.write import write_report

    command = ("mmbench", *sys.argv[1:])
    material = gather(runs or (), out, num_samples, metric or (), command)
    with progress("report", len(material.rows), quiet=format is not Format.table) as bar:
        rows = write_report(material, to or out / "report", [shlex.join(command)], workers or os.cpu_count() or 1, bar)
    show_rows(rows, ["file", "what"], format, notes=material.notes)
    return None


def _report_paper(places: Sequence[str], out: Path, to: Path | None, unused: Sequence[str], format: Format) -> None:
    """Write the page of the paper's tables and figures from `out`, where it is there, and further places."""
    from mmbench.experiments.published.figures import gather_figures
    from mmbench.experiments.published.gather import gather_tables, open_places
    from mmbench.report.paper_page import write_paper_page

    if unused:
        again = shlex.join(["mmbench", "report", *places, "--paper"])
        raise UsageError(f"{unused[0]} means nothing with --paper.", "folders and packed files alone", again)
    given = [] if out == Path("runs") else [out]
    found = open_places([*given, *map(Path, places)])
    found += [] if given or not places or not out.exists() else [out]
    command = shlex.join(["mmbench", *sys.argv[1:]])
    rows = write_paper_page(gather_tables(found), gather_figures(found), to or out / "paper", command)
    show_rows(rows, ["file", "what"], format)
