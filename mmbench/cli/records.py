"""What there is and what is on record: `mmbench table`, `show`, `list`, `merge`, `plan`, `doctor`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, show_mapping, show_rows
from mmbench.errors import MMBenchError


class Kind(StrEnum):
    """What `list` lists."""

    systems = "systems"
    datasets = "datasets"
    metrics = "metrics"
    runs = "runs"


def list_(
    what: Annotated[Kind, typer.Argument(help="What to list.")],
    out: opt.Out = Path("runs"),
    format: opt.Form = Format.table,
) -> None:
    """List systems, datasets, metrics or runs.

    Examples:

      mmbench list systems

      mmbench list runs --out runs --format json
    """
    if what is Kind.runs:
        from mmbench.jobs.list import list_runs

        columns = ["run", "system", "dataset", "seed", "weights", "present", "failed", "records", "status"]
        return show_rows(list_runs(out), columns, format, f"Runs in {out}")
    from mmbench.registry import catalogue

    rows = catalogue(what.value[:-1])  # type: ignore[arg-type]
    show_rows(rows, ["name", "summary", "from"], format)
    if any(row["broken"] for row in rows):
        raise MMBenchError("Some plugins are broken; their errors are listed.", "", "mmbench doctor")
    return None


def show(
    name: Annotated[str, typer.Argument(help="A run's id or folder, or a system, dataset or metric.")],
    out: opt.Out = Path("runs"),
    verify: Annotated[bool, typer.Option("--verify", help="Decode every sample and check its digest.")] = False,
    format: opt.Form = Format.table,
) -> None:
    """Show all that is known of a run or a name.

    Examples:

      mmbench show bounce

      mmbench show ground_truth-bounce-s0 --format json
    """
    from mmbench.jobs.show import show as look_up
    from mmbench.tables.format import record_row

    found = look_up(name, out, verify)
    if format is not Format.table or not found.get("records"):
        return show_mapping(found, format)
    show_mapping({k: v for k, v in found.items() if k not in ("records", "invocations")}, format)
    rows = [record_row(r) for r in found["records"]]
    show_rows(rows, list(rows[0]), format, "Records")
    for number, made in enumerate(found["invocations"], start=1):
        print(f"\nInvocation {number}")
        show_mapping(made, format)
    return None


def table(
    out: opt.Out = Path("runs"),
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this dataset.")] = None,
    system: opt.System = None,
    metric: opt.Metric = None,
    num_samples: Annotated[int | None, typer.Option("--num-samples", "-n", help="Only records of this n.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only runs of this seed.")] = None,
    paper: opt.Paper = "",
    format: opt.Form = Format.table,
) -> None:
    """Systems by metrics, from records.

    Examples:

      mmbench table

      mmbench table --dataset bounce --num-samples 64 --metric av_align

      mmbench table --paper 2
    """
    filters = {"dataset": dataset, "systems": system or (), "metrics": metric or ()}
    if paper:
        from mmbench.experiments.paper import lay_out

        layout = lay_out(paper, out, **filters, num_samples=num_samples, seed=seed)
        return show_rows(layout.rows, layout.columns, format, layout.title, layout.notes)
    from mmbench.tables.table import gather, notes, pivot

    rows, columns = pivot(gather(out, **filters, num_samples=num_samples, seed=seed))  # type: ignore[arg-type]
    return show_rows(rows, columns, format, notes=notes(rows))


def merge(
    parts: Annotated[list[Path], typer.Argument(help="Run folders, or --out folders holding parts of runs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the whole runs go.")],
    format: opt.Form = Format.table,
) -> None:
    """Bring runs made in several places together.

    Examples:

      mmbench merge part0 part1 --out runs
    """
    from mmbench.jobs.list import merge as bring_together

    show_rows(bring_together(parts, out), ["run", "from", "added", "present", "failed"], format)


def doctor(out: opt.Out = Path("runs"), format: opt.Form = Format.table) -> None:
    """Is everything installed and in place? Looks at Python, torch, devices, folders, plugins, weights, datasets.

    Examples:

      mmbench doctor
    """
    from mmbench.checks.doctor import examine_installation

    rows = examine_installation(out)
    show_rows(rows, ["check", "status", "found", "next"], format)
    if any(row["status"] == "broken" for row in rows):
        raise MMBenchError("Something is broken; see above.", "every check ok or missing", "the commands in `next`")


COMMANDS: dict[str, Callable[..., None]] = {
    "table": table,
    "show": show,
    "list": list_,
    "merge": merge,
    "doctor": doctor,
}


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
    format: opt.Form = Format.table,
) -> None:
    """How many samples a comparison needs, from the scatter of runs on record.

    Examples:

      mmbench plan --metric fvd --effect 20

      mmbench plan --metric av_align --effect 0.05 --system ground_truth --system independent --power 0.9
    """
    from mmbench.tables.plan import COLUMNS, plan_samples

    row = plan_samples(out, metric, effect=effect, systems=system or (), dataset=dataset, power=power)
    columns = COLUMNS if effect is not None else COLUMNS[:5]
    shown = ("needed" if effect is not None else "detectable",) if format is Format.quiet else columns
    show_rows([row], shown, format, notes=row["assumptions"])
