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


def preview(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Runs (id, beginning of it, or folder); default: all.")
    ] = None,
    num: Annotated[int, typer.Option("--num", "-n", help="First samples that are shown.")] = 8,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of runs.")] = Path("runs"),
    to: Annotated[Path | None, typer.Option(help="Where the files go; default: OUT/preview.")] = None,
    format: Form = Format.table,
) -> None:
    """Show runs side by side, sample by sample: a page that plays them, a contact sheet, and an MP4 of each.

    The page and the MP4s need a browser and nothing else.

    Examples:

      mmbench preview

      mmbench preview ground_truth-bounce independent-bounce --num 4 --to look
    """
    from mmbench import gallery
    from mmbench.console import progress

    columns = gallery.open_columns(gallery.find_runs(runs or (), out))
    with progress("preview", num, quiet=format is not Format.table) as bar:
        rows = gallery.preview(columns, num, to or out / "preview", bar)
    show_rows(rows, ["file", "what"], format)


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
