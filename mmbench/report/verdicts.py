"""What a comparison says, in one sentence for each number that differs and each that does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmbench.tables.compare import Cell, is_significant
from mmbench.tables.format import interval_text, signed
from mmbench.tables.marks import needed_text


def tell(cells: Mapping[str, Sequence[Cell]], names: Mapping[str, str]) -> list[str]:
    """Sentences: which system is better by how much, with 95 % interval, and what n an unsure difference needs.

    A system that was chosen or guided by the metric, or is compared with one that was, has a sentence that says so.

    Args:
        cells: By metric.
        names: What each metric is called.
    """
    return [
        _sentence(cell, names[metric]) + _caveat(cell, column)
        for metric, column in cells.items()
        for cell in column
        if cell.difference
    ]


def _sentence(cell: Cell, metric: str) -> str:
    d, r = cell.difference, cell.record
    assert d is not None
    by = f"{signed(d.value, d.stderr).lstrip('+−-')} {interval_text(d.low, d.high, d.stderr, sign=True) or ''}".strip()
    if not is_significant(cell):
        needs = f"; at this difference it would take n = {needed_text(cell.needs)}" if cell.needs else ""
        return f"{metric}: no sure difference between {r.system} and {cell.against} ({by}){needs}."
    word = "better" if (d.value > 0) == r.higher_is_better else "worse"
    return f"{metric}: {r.system} is {word} than {cell.against} by {by}."


def _caveat(cell: Cell, column: Sequence[Cell]) -> str:
    """What follows a sentence where one of both systems was optimised for what it is judged by; else nothing."""
    both = cell.record.system, cell.against
    judged = [c.record for c in column if c.record.optimised_for and c.record.system in both and not c.same_as]
    told = dict.fromkeys(f"{r.system} was chosen or guided by {r.optimised_for}" for r in judged)
    return f" No independent evidence: {' and '.join(told)}." if told else ""
