"""Tables 2, 3, 4 and 13 from runs: of each system and metric the run that was made as the paper made its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmbench.dataset_names import published_name
from mmbench.scores.records import Record
from mmbench.tables.beside_printed import Line, Ours, PaperTable, make_line, printed_cells
from mmbench.tables.format import count_text
from mmbench.tables.known_suites import PAPER
from mmbench.tables.layout import Number
from mmbench.tables.paper import RELEASE, RELEASED, SYSTEMS
from mmbench.tables.paper_notes import Entry, entry_of
from mmbench.tables.runs import RunOnRecord, read_run_file
from mmbench.types import is_untrained

HEEDED = ("discriminator", "num_inference_steps")  # options that make no other experiment, or are looked at
Found = Sequence[tuple[RunOnRecord, Record]]


@dataclass(frozen=True)
class _Choice:
    """The record that stands beside a printed number, and why others do not."""

    ours: Ours | None
    left_out: dict[str, str]


def fill_systems(table: str, found: Found) -> PaperTable:
    """A table of systems; of several runs of a system the one of the published n stands, then the largest, the newest.

    Args:
        table: A key of `SYSTEMS`.
        found: All records; those on other datasets are left out.
    """
    entry, datasets = entry_of(table), SYSTEMS[table]
    by_key = len(next(iter(datasets))) > 0
    cells = printed_cells(table, 2 if by_key else 1)
    there = {(published_name(r.dataset), r.system) for _, r in found}
    lines: list[Line] = []
    left_out: dict[str, str] = {}
    shown: set[tuple[str, str]] = set()
    for key, printed in cells.items():
        dataset, in_paper = datasets[key[0] if by_key else ""], str(key[-1])
        released = [in_paper + RELEASE] if (dataset, in_paper + RELEASE) in there else []
        for system in (in_paper, *released):
            shown.add((dataset, system))
            row = ", ".join([*map(str, key[:-1]), system])
            for column, cell in printed.items():
                choice = _choose(column, [(run, r) for run, r in found if _is_of(r, dataset, system)], entry)
                left_out |= choice.left_out
                lines.append(make_line(entry, table, row, column, cell, choice.ours))
    notes = [f"Not beside, {name}: {why}." for name, why in left_out.items()]
    notes += [RELEASED] if any(system.endswith(RELEASE) for _, system in shown) else []
    if others := sorted(f"{s} on {d}" for d, s in there - shown if d in datasets.values()):
        notes.append(f"Also on record, not in the paper: {', '.join(others)}.")
    return PaperTable(table, entry, lines, notes)


def holds(column: str, metric: str) -> bool:
    """Whether the paper's column is of this metric, which is name.variant; miniatures of it are not."""
    return any(c.metric.partition(".")[0] == column and c.holds(metric) for c in PAPER)


def why_unlike(distance: bool, n: int, entry: Entry) -> str:
    """Why a number of n samples is not subtracted from the printed one; "" if it is.

    Args:
        distance: Whether it is one between sets of clips.
        n: Samples.
        entry: Of the table.
    """
    if not distance or n == entry.num_samples:
        return ""
    return f"n = {n}, not {entry.num_samples}: distances of other sizes are not compared"


def _is_of(record: Record, dataset: str, system: str) -> bool:
    return (published_name(record.dataset), record.system) == (dataset, system)


def _choose(column: str, found: Found, entry: Entry) -> _Choice:
    fitting, left_out = [], {}
    for run, r in found:
        if not holds(column, r.metric):
            continue
        if why := _why_left_out(run, r, entry):
            left_out[run.name if "weights" in why else f"{r.metric} of {run.name}"] = why
        else:
            fitting.append((run, r))
    fitting.sort(key=lambda pair: (pair[1].n_expected == entry.num_samples, pair[1].n_expected, pair[1].time))
    if not fitting:
        return _Choice(None, left_out)
    run, r = fitting[-1]
    for other in {other.name for other, _ in fitting} - {run.name}:
        left_out[other] = f"{run.name} is newer, or of a size nearer to the paper's"
    unlike = why_unlike(r.reference is not None, r.n_expected, entry) or _name_options(run)
    return _Choice(Ours(Number(r.value, r.stderr), count_text(r), run.name, unlike), left_out)


def _name_options(run: RunOnRecord) -> str:
    """The options that a run was asked for with, which the published one had not; "" for none."""
    options: dict[str, None] = {}
    for line in read_run_file(run.place, run.name, "invocations.jsonl"):
        options |= dict.fromkeys(map(str, (line.get("resolved") or {}).get("options") or ()))
    other = [option for option in options if option.partition("=")[0] not in HEEDED]
    return f"asked for with {', '.join(other)}" if other else ""


def _why_left_out(run: RunOnRecord, record: Record, entry: Entry) -> str:
    """Why a record is of no experiment of the paper; "" if it may be."""
    for kind, what in ((record.weights, "weights"), (record.extractor_weights, "weights of the metric's networks")):
        if is_untrained(kind):
            return f"{kind} {what}, no quality"
    if record.value is None:
        return "it has no value"
    about = run.spec.spec.get("system")
    sampling = about.get("sampling", {}) if isinstance(about, Mapping) else {}
    steps = sampling.get("num_inference_steps", entry.num_inference_steps)
    if steps != entry.num_inference_steps:
        return f"sampled in {steps} steps, not {entry.num_inference_steps}"
    return ""
