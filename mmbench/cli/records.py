"""What there is and what is on record: `mmbench table`, `show`, `list`, `merge`, `pack`, `unpack`, `plan`, `doctor`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mmbench.cli import options as opt
from mmbench.cli.compare import By
from mmbench.console import Format, show_mapping, show_notes, show_rows, table_width, terminal_width
from mmbench.errors import MMBenchError, UsageError
from mmbench.markup import visible

Records = Annotated[Path, typer.Option("--out", "-o", help="Folder of runs, or a file of `mmbench pack`.")]


class Kind(StrEnum):
    """What `list` lists."""

    systems = "systems"
    datasets = "datasets"
    metrics = "metrics"
    pipelines = "pipelines"
    runs = "runs"


def list_(
    what: Annotated[Kind, typer.Argument(help="What to list.")],
    out: Records = Path("runs"),
    format: opt.Form = Format.table,
) -> None:
    """List systems, datasets, metrics, runs, or the pipelines of diffusers that can be one half of a pair.

    Examples:

      mmbench list systems

      mmbench list pipelines

      mmbench list runs --out runs --format json
    """
    if what is Kind.runs:
        from mmbench.jobs.list import RUN_COLUMNS, list_runs, run_lines

        runs = list_runs(out)
        if format is Format.table and table_width(runs, RUN_COLUMNS) > terminal_width():
            return print(visible("\n".join([f"Runs in {out}", *run_lines(runs, terminal_width())])))
        return show_rows(runs, RUN_COLUMNS, format, f"Runs in {out}")
    if what is Kind.pipelines:
        from mmbench.jobs.list import PIPELINE_COLUMNS, list_pipelines

        return show_rows(list_pipelines(), PIPELINE_COLUMNS, format)
    if what is Kind.metrics:
        from mmbench.jobs.list import list_metrics

        rows, columns = list_metrics(), ["name", "summary", "lacks", "from"]
    else:
        from mmbench.registry import catalogue

        rows, columns = catalogue(what.value[:-1]), ["name", "summary", "from"]  # type: ignore[arg-type]
    if format is Format.table and table_width(rows, columns) > terminal_width():
        columns = columns[:-1]  # where it comes from is for those who look into it
    show_rows(rows, columns, format)
    if any(row["broken"] for row in rows):
        raise MMBenchError("Some plugins are broken; their errors are listed.", "", "mmbench doctor")
    return None


def show(
    name: Annotated[str, typer.Argument(help="A run's id or folder, or a system, dataset or metric.")],
    out: Records = Path("runs"),
    verify: Annotated[bool, typer.Option("--verify", help="Decode every sample and check its digest.")] = False,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Show all that is known of a run or a name.

    Examples:

      mmbench show bounce

      mmbench show ground_truth-bounce-s0 --format json
    """
    from mmbench.jobs.show import show as look_up
    from mmbench.tables.format import list_warnings, record_row
    from mmbench.tables.narrow import show_pieces

    found = look_up(name, out, verify)
    if format is not Format.table or not found.get("records"):
        return show_mapping(found, format)
    later = ("records", "differences", "invocations", "spec")
    show_mapping({k: v for k, v in found.items() if k not in later and v not in ("", [])}, format)
    print()
    rows = [record_row(r) for r in found["records"]]
    below = ("beside", "signature", "time")  # longer than a column
    columns = [c for c in rows[0] if c not in below]
    show_pieces(rows, columns, ["metric"], format, "Records", list_warnings(found["records"]))
    for row in rows:
        print(f"\n{row['metric']}")
        about = {key: row[key] for key in below if row[key] is not None}
        show_mapping(about | {"signature": " | ".join(row["signature"].split("|"))}, format, indent="  ")
    if found["differences"]:
        show_rows(found["differences"], list(found["differences"][0]), format, "Paired differences")
    for number, made in enumerate(found["invocations"], start=1):
        print(f"\nInvocation {number}")
        show_mapping(made, format, indent="  ")
    print("\nSpec")
    show_mapping(found["spec"], format, indent="  ")
    return None


def table(
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", help="Folder of runs, or a file of `mmbench pack`; repeat to see several in one."),
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this dataset.")] = None,
    system: opt.System = None,
    metric: opt.Metric = None,
    num_samples: Annotated[int | None, typer.Option("--num-samples", "-n", help="Only records of this n.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only runs of this seed.")] = None,
    by: By = "",
    suite: opt.Suite = "",
    paper: opt.Paper = "",
    compute: Annotated[bool, typer.Option("--compute", help="Seconds per sample beside the scores.")] = False,
    long: opt.Long = False,
    format: opt.Form = Format.table,
) -> None:
    """Systems by metrics, from records: the newest of one dataset, n and seed; the others are named below.

    Examples:

      mmbench table

      mmbench table --dataset bounce --num-samples 64 --metric av_align

      mmbench table --by prompt

      mmbench table --out runs --out results/mine.jsonl

      mmbench table --suite v2a

      mmbench table --paper 2

      mmbench table --paper figure5 --out results/tiny/figure5.jsonl

      mmbench table --paper all --out runs --out results/toy

      mmbench table --compute
    """
    from mmbench.tables.narrow import show_comparison, show_table
    from mmbench.tables.runs import find_damaged
    from mmbench.tables.suite_table import suite_table

    places = out or [Path("runs")]
    shown = suite_table(suite, places)
    metrics = [*(shown.suite.metrics if shown else ()), *(metric or ())]
    filters: dict[str, Any] = {"dataset": dataset, "systems": system or (), "metrics": metrics}
    filters |= {"num_samples": num_samples, "seed": seed}
    if compute and (paper or by):
        again = shlex.join(["mmbench", "table", *(word for place in places for word in ("--out", str(place)))])
        raise UsageError("--compute has a row for each run.", "it without --paper and --by", f"{again} --compute")
    if paper:
        from mmbench.experiments.paper import lay_out
        from mmbench.experiments.published.gather import ALONE, gather_tables, open_places

        if paper in ("all", *ALONE) and not by and not suite:
            from mmbench.tables.paper_text import show_paper

            numbers = [] if paper == "all" else [paper]
            seen = open_places(out or ())
            return show_paper(gather_tables(seen, numbers, **filters), format, find_damaged(*seen))
        if len(places) > 1 or by or suite:
            once = f"mmbench table --paper {paper} --out {places[0]}"
            found_words = "A table of the paper is of one place, by no group and of no suite."
            raise UsageError(found_words, "--paper with one --out", once)
        return show_table(lay_out(paper, places[0], **filters), format, (), long, find_damaged(*places))
    if by:
        from mmbench.jobs.compare import compare_newest

        compared = compare_newest(places, by, ("mmbench", *sys.argv[1:]), **filters)
        notes, damaged = compared.notes, find_damaged(*places)
        return show_comparison(compared.columns, format, f"By {by}", notes, long, shown, damaged)
    from mmbench.tables.newest import newest_set
    from mmbench.tables.table import pivot

    found = newest_set(*places, **filters)
    layout = pivot(found.records, found.places, any_n=True)
    if compute:
        from mmbench.tables.compute import add_compute

        layout = add_compute(layout, found.places)
    layout = shown.lay_out(layout) if shown else layout
    return show_table(layout, format, found.notes, long, find_damaged(*places))


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


def pack(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, single runs, or files of sweeps.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The packed file, which must not be there yet.")
    ] = None,
    samples: Annotated[
        bool, typer.Option("--samples", help="Instead put the runs' samples into a few large files, where they are.")
    ] = False,
    format: opt.Form = Format.table,
) -> None:
    """Pack records for a repository: one file per experiment, one line per run, no samples and no scores.

    `mmbench table`, `list runs` and `show` read the file as they read a folder of runs. Paired differences are kept.

    With --samples: samples go into tar files in their run's folder, a few hundred in each. Everything reads them there.

    Examples:

      mmbench pack runs --out results/mine.jsonl

      mmbench table --out results/mine.jsonl

      mmbench pack runs --samples
    """
    given = shlex.join(["mmbench", "pack", *map(str, runs)])
    if samples:
        from mmbench.jobs.packs import COLUMNS, pack_samples

        _refuse_out(out, given)
        return show_rows(pack_samples(runs), COLUMNS, format)
    if out is None:
        raise UsageError("Nothing says where records go.", "--out FILE, or --samples", f"{given} --out FILE.jsonl")
    from mmbench.experiments.pack import pack as pack_runs

    packed = pack_runs(runs, out)
    counts = {"runs": len(packed.runs), "records": sum(len(run.lines) for run in packed.runs)}
    kept = sum(len(run.differences) for run in packed.runs)
    row = {"file": str(out), **counts, "differences": kept, "sweeps": len(packed.logs), "bytes": out.stat().st_size}
    return show_rows([row], list(row), format)


def _refuse_out(out: Path | None, given: str) -> None:
    if out is not None:
        raise UsageError("With --samples runs stay where they are.", "it without --out", f"{given} --samples")


def unpack(
    packed: Annotated[list[Path], typer.Argument(help="A file of `mmbench pack`; with --samples, as for `pack`.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder that the runs go to; must not be there yet.")
    ] = None,
    samples: Annotated[
        bool, typer.Option("--samples", help="Instead put packed samples into files of their own again.")
    ] = False,
    format: opt.Form = Format.table,
) -> None:
    """Give the run folders and sweeps of a packed file back as they were, without samples and scores.

    Examples:

      mmbench unpack results/mine.jsonl --out unpacked

      mmbench unpack runs --samples
    """
    given = shlex.join(["mmbench", "unpack", *map(str, packed)])
    if samples:
        from mmbench.jobs.packs import COLUMNS, unpack_samples

        _refuse_out(out, given)
        return show_rows(unpack_samples(packed), COLUMNS, format)
    if out is None or len(packed) > 1:
        once = f"mmbench unpack {shlex.quote(str(packed[0]))} --out FOLDER"
        raise UsageError("Records are unpacked from one file.", "a file and --out, or --samples", once)
    from mmbench.experiments.pack import unpack as unpack_runs

    rows = [{"run": folder.name, "folder": str(folder)} for folder in unpack_runs(packed[0], out)]
    return show_rows(rows, ["run", "folder"], format)


def doctor(
    out: opt.Out = Path("runs"),
    everything: Annotated[bool, typer.Option("--all", help="Also what was found where all is fine.")] = False,
    pair: Annotated[str, typer.Option("--pair", help="Look at these two base models instead: a system.")] = "",
    dataset: opt.Dataset = "bounce",
    option: opt.Options = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    weights: opt.Networks = "real",
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Is everything installed and in place? Looks at Python, torch, devices, folders, plugins, weights, datasets.

    With --pair: can a discriminator be trained for two base models, and do they sample as they do alone? Says their
    noise levels, latents, what a discriminator sees of them, parameters and memory; makes one sample of the dataset.

    Examples:

      mmbench doctor

      mmbench doctor --all

      mmbench doctor --pair wan_stableaudio --set size=tiny
    """
    from mmbench.checks.doctor_report import report_lines

    if pair:
        from mmbench.checks.pair import examine_pair

        rows = examine_pair(pair, dataset, option or (), device=device, dtype=dtype, weights=weights)
        everything = True
    else:
        from mmbench.checks.doctor import examine_installation

        rows = examine_installation(out)
    if format is Format.table:
        print(visible("\n".join(report_lines(rows, terminal_width(), everything))))
    else:
        show_rows(rows, ["check", "status", "found", "next"], format)
    if any(row["status"] == "broken" for row in rows):
        raise MMBenchError(
            "Something is broken; see above.", "every check ok or missing", "what stands there after try"
        )


COMMANDS: dict[str, Callable[..., None]] = {
    "table": table,
    "show": show,
    "list": list_,
    "merge": merge,
    "pack": pack,
    "unpack": unpack,
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
    out: Records = Path("runs"),
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
    if format is Format.table and table_width([row], shown) > terminal_width():
        show_mapping({name: row[name] for name in shown}, format)
        return show_notes(row["assumptions"])
    return show_rows([row], shown, format, notes=row["assumptions"])
