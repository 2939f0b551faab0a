"""`mmbench preview` and `mmbench check`: runs to look at and listen to, and whether they still score the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mmbench.console import Format, setup, show_rows
from mmbench.errors import MMBenchError

Form = Annotated[Format, typer.Option("--format", "-f", help="How results are printed.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more on stderr; repeat for details.")]


def check(
    update: Annotated[bool, typer.Option("--update", help="Accept what is found as the new expectation.")] = False,
    expected: Annotated[
        Path | None, typer.Option(help="The expectation; default: results/expected/DATASET.json.")
    ] = None,
    system: Annotated[list[str] | None, typer.Option("--system", "-s", help="Only this one of them; repeat.")] = None,
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Dataset.")] = "bounce",
    num_samples: Annotated[
        int | None, typer.Option("--num-samples", "-n", help="Samples per system; default: as expected, or 16.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="An empty folder that keeps samples and records.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "cpu",
    format: Form = Format.table,
    verbose: Verbose = 0,
) -> None:
    """Compare a small fixed-seed run of the default systems with its expected scores. Exit code 1 if it differs.

    Every sample is made anew. A value may move by half of its standard error, and its values per sample by half of
    their standard deviation (root mean square): rounding on another machine stays below, a fault does not.

    Examples:

      mmbench check

      mmbench check --system ground_truth --out look && mmbench preview --out look

      mmbench check --update
    """
    from mmbench import drift
    from mmbench.expectation import default_file
    from mmbench.workflow import Settings

    setup(verbose)
    chosen = {"systems": tuple(system)} if system else {}
    settings = Settings(
        dataset=dataset,
        device=device,
        quiet=format is not Format.table,
        command=("mmbench", *sys.argv[1:]),
        **chosen,  # type: ignore[arg-type]
    )
    file = expected or default_file(dataset)
    rows, notes = drift.check(settings, file, num_samples=num_samples, out=out, update=update)
    columns = ("verdict",) if format is Format.quiet else drift.COLUMNS
    show_rows(rows, columns, format, f"Expected: {file}", notes)
    failed = [row for row in rows if row["verdict"] != "ok"]
    if update:
        changed = ", ".join(f"{row['system']} {row['metric']}" for row in failed) or "nothing beyond what is allowed"
        print(f"Written: {file}. Changed: {changed}.", file=sys.stderr)
    elif failed:
        names = "; ".join(f"{row['system']} {row['metric']} ({row['verdict'].partition(':')[0]})" for row in failed)
        raise MMBenchError(
            f"{len(failed)} of {len(rows)} values are not as expected: {names}.",
            f"what {file} says",
            "mend it, or if the change is meant: mmbench check --update, and commit the file",
        )
