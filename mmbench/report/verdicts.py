"""What a comparison says, in one sentence for each number that differs and each that does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmbench.tables.compare import Cell, is_significant
from mmbench.tables.format import interval_text, signed
from mmbench.tables.marks import needed_text


def tell(cells: Mapping[str, Sequence[Cell]], names: Mapping[str, str]) -> list[str]:
    """Sentences: which system is better by how much, with 95 % interval, and what n an unsure difference needs.

    Args:
        cells: By metric.
        names: What each metric is called.
    """
    return [_sentence(cell, names[metric]) for metric, column in cells.items() for cell in column if cell.difference]


def _sentence(cell: Cell, metric: str) -> str:
    d, r = cell.difference, cell.record
    assert d is not None
    by = f"{signed(d.value, d.stderr).lstrip('+−-')} {interval_text(d.low, d.high, d.stderr, sign=True) or ''}".strip()
    if not is_significant(cell):
        needs = f"; at this difference it would take n = {needed_text(cell.needs)}" if cell.needs else ""
        return f"{metric}: no sure difference between {r.system} and {cell.against} ({by}){needs}."
    word = "better" if (d.value > 0) == r.higher_is_better else "worse"
    return f"{metric}: {r.system} is {word} than {cell.against} by {by}."
