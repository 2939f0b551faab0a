"""Score tables in every format; on terminals that are narrower, several tables below each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmbench.console import Format, show_rows, table_width, terminal_width
from mmbench.tables import long, wide
from mmbench.tables.compare import Cell
from mmbench.tables.layout import Layout
from mmbench.tables.suite_table import SuiteTable
from mmbench.tables.system_rows import lay_out_comparison

UNDAMAGED: Mapping[str, str] = {}
KEYS = ("system", "dataset", "row")  # the first of them that a table has begins each of its pieces


def show_table(
    layout: Layout,
    format: Format,
    notes: Sequence[str] = (),
    in_full: bool = False,
    damaged: Mapping[str, str] = UNDAMAGED,
) -> None:
    """Print a table; where the terminal is too narrow, in pieces of as many columns as fit, each with its row names.

    Args:
        layout: The table.
        format: JSON and CSV have all numbers, CSV with a line for each row and metric; the others text.
        notes: Further lines below it.
        in_full: Give each number a row, with interval, difference and p-value.
        damaged: What is wrong with runs that cannot be read, by name; each has a row that says so, in every format.
    """
    told = layout.in_columns if in_full else ()
    below = [*(note for note in layout.notes if note not in told), *notes]
    if format is Format.json:
        columns, rows = _add_damaged(layout.columns, layout.rows, damaged)
        return show_rows(rows, columns, format, layout.title, below)
    if format is Format.csv:
        columns, rows = _add_damaged(*long.to_numbers(layout), damaged)
        return show_rows(rows, columns, format, layout.title, below)
    columns, rows = _add_damaged(*(long.to_rows(layout) if in_full else wide.to_rows(layout)), damaged)
    keys = [key for key in KEYS if key in columns][:1] + [key for key in ("group",) if key in columns]
    keys += ["metric"] if in_full else []
    return show_pieces(rows, columns, keys, format, layout.title, [*wide.describe_rows(layout), *below])


def _add_damaged(
    columns: Sequence[str], rows: Sequence[dict[str, Any]], damaged: Mapping[str, str]
) -> tuple[list[str], list[dict[str, Any]]]:
    """A table with a row for each damaged run: its name where others have their system's, and its status."""
    if not damaged:
        return [*columns], [*rows]
    first = next((key for key in KEYS if key in columns), columns[0] if columns else KEYS[0])
    lost = [{first: name, "status": f"damaged: {found}"} for name, found in damaged.items()]
    return list(dict.fromkeys([*columns, first, "status"])), [*rows, *lost]


def show_comparison(
    columns: Sequence[Sequence[Cell]],
    format: Format,
    title: str,
    notes: Sequence[str] = (),
    in_full: bool = False,
    suite: SuiteTable | None = None,
    damaged: Mapping[str, str] = UNDAMAGED,
) -> None:
    """Print a comparison, as `show_table`; JSON has a row for each system and metric, with the whole record.

    Args:
        columns: The cells of each metric.
        format: How it is printed.
        title: Line above the table.
        notes: Lines below it, after those that explain its marks.
        in_full: Give each number a row, with interval, difference and p-value.
        suite: How a suite shows it; None for the metrics as they are.
        damaged: As of `show_table`.
    """
    layout = replace(lay_out_comparison(columns, title, notes), compared=columns)
    layout = suite.lay_out(layout) if suite else layout
    compared = any(cell.difference for column in columns for cell in column)
    what = "Intervals, differences and p-values" if compared else "Intervals"
    more = [] if in_full else [f"{what}: --long, or --format csv or json."]
    show_table(layout, format, more, in_full, damaged)


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
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        if number:
            print()
        said = [row for row in rows if any(row.get(c) is not None for c in piece if c not in keys)]
        show_rows(said, piece, format, "" if number else title, notes if last else ())
    return None


def split_columns(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], keys: Sequence[str], width: int
) -> list[list[str]]:
    """Columns in groups, each as wide as `width` characters allow and led by `keys`; at least one column in each."""
    pieces: list[list[str]] = [[*keys]]
    for column in (c for c in columns if c not in keys):
        if len(pieces[-1]) > len(keys) and table_width(rows, [*pieces[-1], column]) > width:
            pieces.append([*keys])
        pieces[-1].append(column)
    return pieces
