"""Marks in a score table and the lines that explain them: better, worse, optimised for, not above real clips, n."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmbench.scores.records import Record
from mmbench.tables.compare import Cell, is_significant
from mmbench.tables.floors import is_at_floor

BETTER = "*"  # unlike an arrow, neither mark can be read as the direction of the number
WORSE = "†"
AT_FLOOR = "~"
OPTIMISED = "‡"
MANY = 100_000  # samples; more than that is as good as no difference


def mark_of(cell: Cell, column: Sequence[Record]) -> str:
    """The marks of a number: significantly better or worse than its opponent's, optimised for, at the floor.

    Args:
        cell: The number.
        column: All records of its metric in the table.
    """
    mark = ""
    if is_significant(cell) and cell.difference is not None:
        mark = BETTER if (cell.difference.value > 0) == cell.record.higher_is_better else WORSE
    opponents = [r for r in column if mark and r.system == cell.against]
    mark += OPTIMISED if not cell.same_as and any(r.optimised_for for r in (cell.record, *opponents)) else ""
    return mark + (AT_FLOOR if not cell.same_as and is_at_floor(cell.record, column) else "")


def explain_marks(cells: Sequence[Cell], shown: Sequence[str]) -> list[str]:
    """The lines that say what marks mean, and whom differences are to.

    Args:
        cells: Of the whole table.
        shown: The marks that it has.
    """
    notes = []
    text = "".join(shown)
    if any(cell.p_adjusted is not None for cell in cells):
        opponents: dict[str, dict[str, None]] = {}
        for cell in cells:
            if cell.difference is not None:
                opponents.setdefault(cell.against, {})[cell.record.system] = None
        pairs = [(against, list(systems)) for against, systems in opponents.items()]
        first = pairs[0][0]
        rest = "".join(f" ({', '.join(systems)}: than {against})" for against, systems in pairs[1:])
        notes.append(f"{BETTER} better, {WORSE} worse than {first}{rest}; p < 0.05, paired by sample, after Holm.")
    if OPTIMISED in text:
        notes.append(explain_optimised([cell.record for cell in cells if not cell.same_as]))
    if AT_FLOOR in text:
        notes.append(f"{AT_FLOOR} not above what real clips score at this n: no evidence of quality.")
    return notes


def explain_optimised(records: Sequence[Record]) -> str:
    """The line that says which systems were chosen or guided by what."""
    by_metric: dict[str, dict[str, None]] = {}
    for r in records:
        if r.optimised_for:
            by_metric.setdefault(r.optimised_for, {})[r.system] = None
    told = "; ".join(f"{', '.join(systems)} by {metric}" for metric, systems in by_metric.items())
    return (
        f"{OPTIMISED} no independent evidence: the samples were chosen or guided by this or by its networks ({told})."
    )


def short_names(metrics: Iterable[str]) -> dict[str, str]:
    """Metrics without their variants, by full name, except where there are two variants of one metric."""
    short = {metric: metric.partition(".")[0] for metric in metrics}
    return {metric: metric if list(short.values()).count(name) > 1 else name for metric, name in short.items()}


def note_shuffled(records: Sequence[Record], group: str = "") -> list[str]:
    """The metrics over shuffled pairs, their value by chance, in the order of the rows; "none" where a row has none.

    Args:
        records: Of those rows.
        group: What the rows are of, where the table has others, too.
    """
    parts, names = [], short_names(r.metric for r in records)
    rows = list(dict.fromkeys((r.system, r.run_id) for r in records))
    for metric in dict.fromkeys(r.metric for r in records if r.baseline is not None):
        known = {(r.system, r.run_id): r.baseline for r in records if r.metric == metric}
        values = ["none" if (chance := known.get(row)) is None else f"{chance:z.3f}" for row in rows]
        parts.append(f"{names[metric]} {', '.join(values)}")
    told = (", row by row" + (f" of {group}" if group else "")) * (len(rows) > 1)
    return [f"By chance (shuffled pairs){told}: {'; '.join(parts)}."] if parts else []


def note_needs(cells: Sequence[Cell]) -> list[str]:
    """The n at which the differences that are not significant would be, at 80 % power, in one line."""
    by_system: dict[str, list[str]] = {}
    names = short_names(cell.record.metric for cell in cells)
    for cell in cells:
        if cell.needs:
            told = f"{names[cell.record.metric]} {needed_text(cell.needs)}"
            by_system.setdefault(cell.record.system, []).append(told)
    counts = "; ".join(f"{system}: {', '.join(needed)}" for system, needed in by_system.items())
    return [f"Not significant; n needed at the observed difference, 80 % power: {counts}."] if counts else []


def needed_text(n: int) -> str:
    """A needed n as text: "1,900", or "> 100,000"."""
    return f"{round_up(n):,}" if n < MANY else f"> {MANY:,}"


def round_up(n: int) -> int:
    """A count with two significant digits, rounded up: 1843 to 1900."""
    step = 10 ** max(len(str(n)) - 2, 0)
    return -(-n // step) * step
