"""`mmbench compare`: what is scored already, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format

Baseline = Annotated[
    str, typer.Option(help="What the others are compared with; default: the first, and for MMDisCo its pair.")
]


def compare(
    names: Annotated[list[str], typer.Argument(help="Runs (id, beginning of it, or folder), or evaluated clips.")],
    baseline: Baseline = "",
    metric: opt.Metric = None,
    suite: opt.Suite = "",
    num_samples: Annotated[int | None, typer.Option("--num-samples", "-n", help="Only records of this n.")] = None,
    out: opt.Out = Path("runs"),
    long: opt.Long = False,
    format: opt.Form = Format.table,
) -> None:
    """Compare what is scored already: paired differences, intervals, and the share of samples won.

    Clips pair by file name, else by prompt; the lines below the table say what did not pair.

    Examples:

      mmbench compare model_a model_b

      mmbench compare tiny-bounce my_samples --baseline my_samples --metric av_align
    """
    from mmbench.jobs.compare import compare as set_side_by_side
    from mmbench.tables.narrow import show_comparison
    from mmbench.tables.suite_table import suite_table

    shown = suite_table(suite, [out])
    metrics = [*(shown.suite.metrics if shown else ()), *(metric or ())]
    found = set_side_by_side(names, out, baseline, metrics, num_samples)
    show_comparison(found.columns, format, f"Compared; records in {out}", found.notes, long, shown)
