"""`mmbench verify` and `mmbench plan`: do the metrics mean what they say, and how many samples they need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmbench.console import Format, show_rows
from mmbench.errors import MMBenchError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Metrics: verify them, plan with them.")

Form = Annotated[Format, typer.Option("--format", "-f", help="How results are printed.")]


@app.command()
def verify(
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="Metric or metric.variant; repeat. Default: all.")
    ] = None,
    num_samples: Annotated[int, typer.Option("--num-samples", "-n", help="Clips to distort and score.")] = 16,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of clips and distortions.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out networks of over 0.5 s of CPU per clip.")] = False,
    format: Form = Format.table,
) -> None:
    """Check on this machine that the metrics mean what they say. Exit code 1 if one does not.

    Distances of a set from itself are zero, order and batches do not matter, graded blur, noise, dropped frames and
    shifted sound are answered, networks compute in exact float32, storage loses nothing. Published weights are used
    where they are here, random ones elsewhere.

    Examples:

      mmbench verify

      mmbench verify --quick

      mmbench verify --metric fvd --metric av_align.matched --num-samples 24 --device cuda
    """
    from mmbench.checks import COLUMNS
    from mmbench.verify import notes
    from mmbench.verify import verify as check_all

    quiet = format is not Format.table
    rows = check_all(metric or (), num_samples=num_samples, device=device, seed=seed, quick=quick, quiet=quiet)
    columns = COLUMNS if format is not Format.quiet else ("status",)
    show_rows(rows, columns, format, notes=notes(rows))
    failed = [row for row in rows if row["status"] == "fail"]
    if failed:
        names = "; ".join(f"{row['check']} of {row['metric']}" for row in failed)
        found = f"{len(failed)} of {len(rows)} checks failed: {names}."
        raise MMBenchError(found, "every check to hold", "mmbench doctor")


@app.command()
def plan(
    metric: Annotated[str, typer.Option("--metric", "-m", help="Metric or metric.variant.")],
    effect: Annotated[
        float | None, typer.Option("--effect", "-e", help="True difference to find, in units of the metric.")
    ] = None,
    system: Annotated[
        list[str] | None, typer.Option("--system", "-s", help="One or two systems of the pilot. Default: all.")
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only records on this dataset.")] = None,
    power: Annotated[float, typer.Option(help="Probability of finding the effect.")] = 0.8,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of runs.")] = Path("runs"),
    format: Form = Format.table,
) -> None:
    """How many samples a comparison needs, from the scatter of runs on record.

    Examples:

      mmbench plan --metric fvd --effect 20

      mmbench plan --metric av_align --effect 0.05 --system ground_truth --system independent --power 0.9
    """
    from mmbench.pilot import COLUMNS, plan_samples

    row = plan_samples(out, metric, effect=effect, systems=system or (), dataset=dataset, power=power)
    columns = COLUMNS if effect is not None else COLUMNS[:5]
    shown = ("needed" if effect is not None else "detectable",) if format is Format.quiet else columns
    show_rows([row], shown, format, notes=row["assumptions"])
