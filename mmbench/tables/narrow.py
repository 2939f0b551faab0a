"""Tables on terminals that are narrower: fewer numbers per system, or several tables below each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmbench.console import Format, show_rows, terminal_width
from mmbench.scores.records import Record
from mmbench.tables.compare import Cell, as_row, footnotes, heading, is_significant, list_caveats
from mmbench.tables.format import count_text, with_error
from mmbench.tables.layout import Layout

# Columns of a comparison where there is room.
LONG = ("system", "metric", "group", "value", "shuffled", "n", "Δ [95 %]", "won")
KEYS = ("system", "dataset", "row")  # the first of them that a table has begins each of its pieces


def show_table(layout: Layout, format: Format, notes: Sequence[str] = ()) -> None:
    """Print a table; where the terminal is too narrow, in pieces of as many columns as fit, each with its row names."""
    columns, rows = layout.columns, layout.rows
    keys = [key for key in KEYS if key in columns][:1]
    show_pieces(rows, columns, keys, format, layout.title, [*layout.notes, *notes])


def show_comparison(columns: Sequence[Sequence[Cell]], format: Format, title: str, notes: Sequence[str] = ()) -> None:
    """Print a comparison: one row per system and metric where there is room, else one row per system.

    Args:
        columns: The cells of each metric.
        format: JSON has the whole records and differences, whatever the width.
        title: Line above the table.
        notes: Lines below it, before those that explain its marks.
    """
    rows = [as_row(cell) for column in columns for cell in column]
    shown = [c for c in LONG if any(row[c] is not None for row in rows)]
    if format is Format.table and _width(rows, shown) > terminal_width():
        shown = [c for c in shown if c != "won"]
    if format is not Format.table or _width(rows, shown) <= terminal_width():
        return show_rows(rows, shown, format, title, [*notes, *footnotes(columns)])
    by_system = summarize_systems(columns)
    names = list(dict.fromkeys(name for row in by_system for name in row))
    keys = [name for name in ("group", "system") if name in names]
    return show_pieces(by_system, names, keys, format, title, [*notes, *_short_notes(columns)])


def summarize_systems(columns: Sequence[Sequence[Cell]]) -> list[dict[str, Any]]:
    """A comparison with one row per run: its value of every metric, starred where the difference is significant.

    The column n is there only if some samples were not scored.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    records = [cell.record for column in columns for cell in column]
    whole = all(r.n_scored == r.n_expected for r in records)
    for column in columns:
        for cell in column:
            r = cell.record
            name = {"system": r.system} | ({"group": cell.group} if cell.group else {})
            if cell.group:
                name["n"] = count_text(r)
            elif not whole:
                name["n"] = _counts(records, r.run_id)
            row = rows.setdefault((r.run_id, cell.group), name)
            row[heading(r)] = (with_error(r.value, r.stderr) or "") + (" *" if is_significant(cell) else "")
    return list(rows.values())


def _counts(records: Sequence[Record], run: str) -> str:
    return "\n".join(dict.fromkeys(count_text(r) for r in records if r.run_id == run))


def _short_notes(columns: Sequence[Sequence[Cell]]) -> list[str]:
    cells = [cell for column in columns for cell in column]
    against = dict.fromkeys(cell.against for cell in cells if cell.p_adjusted is not None)
    star = f"*: p < 0.05 of the paired difference to {' or '.join(against)}, after Holm's correction over the table."
    more = "Differences and shuffled baselines: in a wider window, or with --format json."
    return [*([star] if against else []), *list_caveats([cell.record for cell in cells]), more]


def show_pieces(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    keys: Sequence[str],
    format: Format,
    title: str,
    notes: Sequence[str] = (),
) -> None:
    """Print a table in pieces that fit the terminal, each led by the columns `keys`."""
    if format is not Format.table:
        return show_rows(rows, columns, format, title, notes)
    pieces = split_columns(rows, columns, keys, terminal_width())
    if len(pieces) > 1:
        columns_of = {c: c.replace(".", "\n", 1) if c not in keys else c for c in columns}
        rows = [{columns_of.get(k, k): v for k, v in row.items()} for row in rows]
        pieces = split_columns(rows, [columns_of[c] for c in columns], keys, terminal_width())
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        show_rows(rows, piece, format, "" if number else title, notes if last else ())
    return None


def split_columns(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], keys: Sequence[str], width: int
) -> list[list[str]]:
    """Columns in groups, each as wide as `width` characters allow and led by `keys`; at least one column in each."""
    pieces: list[list[str]] = [[*keys]]
    for column in (c for c in columns if c not in keys):
        if len(pieces[-1]) > len(keys) and _width(rows, [*pieces[-1], column]) > width:
            pieces.append([*keys])
        pieces[-1].append(column)
    return pieces


def _width(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Characters that a table takes: its cells, two of padding for each, and the lines between them."""
    return 1 + sum(3 + max(_longest(text) for text in (c, *(row.get(c) for row in rows))) for c in columns)


def _longest(text: Any) -> int:
    return 0 if text is None else max(map(len, str(text).split("\n")))
