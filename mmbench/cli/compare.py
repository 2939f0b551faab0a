"""`mmbench compare`: what is scored already, side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format

Baseline = Annotated[
    str, typer.Option(help="What the others are compared with; default: the first, and for MMDisCo its pair.")
]
By = Annotated[
    str, typer.Option("--by", help="Also by groups of samples: prompt, or a column of the CSV of prompts, or material.")
]


def compare(
    names: Annotated[list[str], typer.Argument(help="Runs, evaluated clips, or packed files.")],
    baseline: Baseline = "",
    by: By = "",
    metric: opt.Metric = None,
    suite: opt.Suite = "",
    num_samples: Annotated[int | None, typer.Option("--num-samples", "-n", help="Only records of this n.")] = None,
    out: opt.Out = Path("runs"),
    long: opt.Long = False,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Compare what is scored already: paired differences, intervals, and the share of samples won.

    Clips pair by file name, else by prompt; the lines below the table say what did not pair.

    Examples:

      mmbench compare model_a model_b

      mmbench compare model_a model_b --by category

      mmbench compare tiny-bounce my_samples --baseline my_samples --metric av_align
    """
    from mmbench.jobs.compare import compare as set_side_by_side
    from mmbench.tables.narrow import show_comparison
    from mmbench.tables.suite_table import suite_table

    shown = suite_table(suite, [out])
    metrics = [*(shown.suite.metrics if shown else ()), *(metric or ())]
    found = set_side_by_side(names, out, baseline, metrics, num_samples, by, ("mmbench", *sys.argv[1:]))
    show_comparison(found.columns, format, f"Compared; records in {out}", found.notes, long, shown)
