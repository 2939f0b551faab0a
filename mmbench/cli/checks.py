"""`mmbench verify` and `mmbench check`: do metrics mean what they say, do the default systems score as expected."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, setup, show_rows
from mmbench.errors import MMBenchError


def verify(
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="Metric or metric.variant; repeat. Default: all.")
    ] = None,
    num_samples: Annotated[int, typer.Option("--num-samples", "-n", min=1, help="Clips to distort and score.")] = 16,
    dataset: opt.Dataset = "bounce",
    device: opt.Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of clips and distortions.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out networks of over 0.5 s of CPU per clip.")] = False,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Do the metrics measure what they claim, on this machine? Exit code 1 if one does not.

    Distances of a set from itself are zero, order and batches do not matter, graded blur, noise, dropped frames and
    shifted sound are answered, networks compute in exact float32, storage loses nothing. Published weights are used
    where they are here, random ones elsewhere.

    Examples:

      mmbench verify

      mmbench verify --quick

      mmbench verify --metric fvd --metric av_align.matched --num-samples 24 --device cuda
    """
    from mmbench.checks.verification.check_row import COLUMNS
    from mmbench.checks.verify import notes, verify_metrics

    quiet = format is not Format.table
    chosen: dict[str, Any] = {"num_samples": num_samples, "device": device, "dataset": dataset, "seed": seed}
    rows = verify_metrics(metric or (), **chosen, quick=quick, quiet=quiet)
    columns = COLUMNS if format is not Format.quiet else ("status",)
    show_rows(rows, columns, format, notes=notes(rows))
    failed = [row for row in rows if row["status"] == "fail"]
    if failed:
        names = "; ".join(f"{row['check']} of {row['metric']}" for row in failed)
        found = f"{len(failed)} of {len(rows)} checks failed: {names}."
        raise MMBenchError(found, "every check to hold", "mmbench doctor")


def check(
    update: Annotated[
        bool, typer.Option("--update", help="Accept what is found as the expectation; in a checkout or --expected.")
    ] = False,
    expected: Annotated[Path | None, typer.Option(help="The expectation; default: the package's, of DATASET.")] = None,
    system: Annotated[list[str] | None, typer.Option("--system", "-s", help="Only this one of them; repeat.")] = None,
    dataset: opt.Dataset = "bounce",
    num_samples: Annotated[
        int | None, typer.Option("--num-samples", "-n", min=1, help="Samples per system; default: as expected, or 16.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="An empty folder that keeps samples and records.")
    ] = None,
    device: opt.Device = "cpu",
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Do the default systems still score as they did? Compares a small run with expected scores. Exit code 1 if not.

    Every sample is made anew. A value may move by half of its standard error, and its values per sample by half of
    their standard deviation (root mean square): rounding on another machine stays below, a fault does not. --update in
    a checkout replaces the file in mmbench/checks/data, to be committed; elsewhere it takes --expected FILE.

    Examples:

      mmbench check

      mmbench check --system ground_truth --out look && mmbench preview --out look

      mmbench check --update
    """
    from mmbench.checks.check import COLUMNS, check_scores
    from mmbench.checks.expectation import default_file, file_to_update
    from mmbench.jobs.settings import Settings

    setup(verbose)
    chosen = {"systems": tuple(system)} if system else {}
    settings = Settings(
        dataset=dataset,
        device=device,
        quiet=format is not Format.table,
        command=("mmbench", *sys.argv[1:]),
        **chosen,  # type: ignore[arg-type]
    )
    file = expected or (file_to_update if update else default_file)(dataset)
    rows, notes = check_scores(settings, file, num_samples=num_samples, out=out, update=update)
    columns = ("verdict",) if format is Format.quiet else COLUMNS
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
            "mend it, or if the change is meant, keep it: mmbench check --update",
        )
