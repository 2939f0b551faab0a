"""Systems as rows and metrics as columns, from what they were compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmbench.tables.borrowed import note_borrowed
from mmbench.tables.compare import Cell, list_caveats
from mmbench.tables.groups import ALL
from mmbench.tables.layout import Layout, MetricCell, Row, make_cell, owners_of
from mmbench.tables.marks import explain_marks, mark_of, note_needs, note_shuffled

FIRST = ("system", "group", "dataset", "n", "weights", "networks")  # columns before the metrics


def lay_out_comparison(columns: Sequence[Sequence[Cell]], title: str = "", notes: Sequence[str] = ()) -> Layout:
    """The table of one row per system and one column per metric, with what its marks mean below.

    Args:
        columns: The cells of each metric, as `mmbench.tables.compare.adjust` gives them.
        title: Line above the table.
        notes: Lines below it, after those that explain its marks.
    """
    cells = [cell for column in columns for cell in column]
    names = [(cell.record.system, cell.record.metric, cell.group) for cell in cells]
    one_run = len(set(names)) == len(names)  # else systems have several runs, which are told apart by their ids
    labels: dict[tuple[str, str], dict[str, Any]] = {}
    found: dict[tuple[str, str], list[MetricCell]] = {}
    for column in columns:
        records = [cell.record for cell in column]
        for cell in column:
            r = cell.record
            key = cell.group, r.system if one_run else r.run_id
            group = {"group": cell.group} if cell.group else {}
            labels.setdefault(key, {**group, "system": r.system, "dataset": r.dataset})
            made = replace(make_cell([r], same_as=cell.same_as), compared=cell, mark=mark_of(cell, records))
            found.setdefault(key, []).append(made)
    groups = list(dict.fromkeys(group for group, _ in labels))
    rows = [Row(labels[key], found[key]) for key in sorted(labels, key=lambda key: groups.index(key[0]))]
    marks = explain_marks(cells, [cell.mark for row in rows for cell in row.cells])
    records = [cell.record for cell in cells]
    whole = [cell for cell in cells if cell.group in ("", ALL)]
    chance = note_shuffled([cell.record for cell in whole], ALL if any(groups) else "")
    in_columns = [*chance, *note_needs(whole)]
    below = [*marks, *note_borrowed(owners_of(rows)), *in_columns, *notes, *list_caveats(records)]
    return Layout(rows, title, below, in_columns, FIRST)
