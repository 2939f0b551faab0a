"""What a comparison says of each metric, in one sentence: what differs, and what does not surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmbench.tables.compare import Cell, is_significant
from mmbench.tables.format import interval_text, signed, with_error
from mmbench.tables.marks import needed_text


def tell(cells: Mapping[str, Sequence[Cell]], names: Mapping[str, str]) -> list[str]:
    """A sentence per metric, sure things first: who is better by how much, with 95 % interval; what n the unsure need.

    Where a system, or the one it is compared with, was chosen or guided by the metric, another sentence says so.

    Args:
        cells: By metric.
        names: What each metric is called.
    """
    told = []
    for metric, column in cells.items():
        if compared := [cell for cell in column if cell.difference]:
            clauses = "; ".join(map(_clause, sorted(compared, key=lambda cell: not is_significant(cell))))
            caveats = dict.fromkeys(_caveat(cell, column) for cell in compared)
            told.append(f"{names[metric]}: {clauses}.{''.join(caveats)}")
    return told


def _clause(cell: Cell) -> str:
    d, r = cell.difference, cell.record
    assert d is not None
    if not is_significant(cell):
        by = f"{signed(d.value, d.stderr)} {interval_text(d.low, d.high, d.stderr, sign=True) or ''}".strip()
        needs = f", for which it would take n = {needed_text(cell.needs)}" if cell.needs else ""
        return f"no sure difference between {r.system} and {cell.against} ({by}{needs})"
    low, high = (d.low, d.high) if d.value > 0 else (_minus(d.high), _minus(d.low))
    by = f"{with_error(abs(d.value), d.stderr)} {interval_text(low, high, d.stderr) or ''}".strip()
    word = "better" if (d.value > 0) == r.higher_is_better else "worse"
    return f"{r.system} is {word} than {cell.against} by {by}"


def _minus(x: float | None) -> float | None:
    return None if x is None else -x


def _caveat(cell: Cell, column: Sequence[Cell]) -> str:
    """What follows a sentence where one of both systems was optimised for what it is judged by; else nothing."""
    both = cell.record.system, cell.against
    judged = [c.record for c in column if c.record.optimised_for and c.record.system in both and not c.same_as]
    told = dict.fromkeys(f"{r.system} was chosen or guided by {r.optimised_for}" for r in judged)
    return f" No independent evidence: {' and '.join(told)}." if told else ""
