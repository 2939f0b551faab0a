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

LIMIT_MB = 50.0  # what mail and most hosts of pages still take


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs (id, beginning of it, or folder), or clips; default: all runs. With --paper: further places."
        ),
    ] = None,
    num_samples: Annotated[
        int | None, typer.Option("--num-samples", "-n", min=1, help="First samples that are shown; default: all.")
    ] = None,
    metric: opt.Metric = None,
    out: opt.Out = Path("runs"),
    to: Annotated[
        Path | None, typer.Option(help="Where the report goes; default: OUT/report, or OUT/report.html.")
    ] = None,
    single: Annotated[bool, typer.Option("--single", help="One file of HTML with the clips inside.")] = False,
    limit_mb: Annotated[
        float | None, typer.Option(help="With --single: most that the file takes; default: 50.", min=0.1)
    ] = None,
    workers: opt.Workers = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Every table and figure of the paper instead, ours beside; to OUT/paper.")
    ] = False,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Write a report of runs and clips: verdicts, table, plots, and every sample to play side by side.

    Its index.html needs no server and nothing from outside; hand on the whole folder. What is not scored is shown
    without numbers. With --single, one file holds all: numbers and plots, and the clips of as many samples as fit.

    Examples:

      mmbench report

      mmbench report tiny-bounce tiny+mmdisco-res_frieren-bounce --num-samples 16 --to report

      mmbench report --single --limit-mb 20

      mmbench report --paper results/toy --to paper
    """
    if paper:
        given = {"--num-samples": num_samples is not None, "--metric": metric, "--workers": workers is not None}
        given |= {"--single": single, "--limit-mb": limit_mb is not None}
        _report_paper(runs or (), out, to, [name for name, value in given.items() if value], format)
        return
    from mmbench.processes import usable_cores
    from mmbench.progress import progress
    from mmbench.report.material import gather
    from mmbench.report.single import write_single
    from mmbench.report.write import write_report

    command, makers = ("mmbench", *sys.argv[1:]), workers or usable_cores()
    if limit_mb is not None and not single:
        raise UsageError("--limit-mb is of --single.", "both", shlex.join([*command, "--single"]))
    material = gather(runs or (), out, num_samples, metric or (), command)
    notes = [material.notice] if material.notice else []
    with progress("report", len(material.rows), quiet=format is not Format.table) as bar:
        if single:
            most = LIMIT_MB if limit_mb is None else limit_mb
            rows, left_out = write_single(material, to or out / "report.html", command, most, makers, bar)
            notes += left_out
        else:
            rows = write_report(material, to or out / "report", [shlex.join(command)], makers, bar)
    unscored = [f"{name} is not scored. try: {again}" for name, again in material.unscored.items()]
    show_rows(rows, ["file", "what"], format, notes=[*notes, *unscored, *material.notes])


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
