"""All tables of the paper as text: in a terminal one after the other, else as one table to paste or to read in."""

from __future__ import annotations

from collections.abc import Sequence

from mmbench.console import Format, show_notes, show_rows, table_width, terminal_width
from mmbench.tables.beside_printed import COLUMNS, ERRORS, PaperTable
from mmbench.tables.narrow import show_pieces

NUMBERS = (
    *("table", "row", "column", "printed", "printed_stderr", "ours", "stderr", "n", "difference", "difference_stderr"),
    *("z", "origin", "unlike", "reason", "differs", "command"),
)


def show_paper(tables: Sequence[PaperTable], format: Format) -> None:
    """Print tables of the paper beside ours.

    Args:
        tables: In order.
        format: A terminal has a part for each table, with what differs below; JSON and CSV have a row for each number,
            without rounding; Markdown, LaTeX and HTML the same rows as text.
    """
    if format is Format.json or format is Format.csv:
        return show_rows([row for table in tables for row in table.to_rows()], NUMBERS, format)
    if format is not Format.table:
        rows = [
            {"table": table.number, **line.to_text(), "why": line.said or (table.entry.differs if not k else None)}
            for table in tables
            for k, line in enumerate(table.lines)
        ]
        remarks = [f"{table.title}. Ours: {table.entry.command}" for table in tables]
        return show_rows(rows, ["table", *COLUMNS, "why"], format, "", [*remarks, ERRORS])
    for table in tables:
        _show(table)
        print()
    return show_notes([ERRORS]) if any(table.has_ours for table in tables) else None


def _show(table: PaperTable) -> None:
    """One table in a terminal: the printed numbers alone where nothing of ours is on record."""
    settings = [f"Published with: {table.entry.settings}."] if table.entry.settings else []
    about = [*settings, f"What differs: {table.entry.differs}.", f"Ours: {table.entry.command}", *table.remarks]
    if not table.has_ours:
        columns, rows = table.printed_rows()
        return show_pieces(rows, columns, ["row"], Format.table, table.title, about)
    lines = [line.to_text() for line in table.lines]
    columns = [name for name in COLUMNS if name != "n" or table_width(lines, COLUMNS) <= terminal_width()]
    return show_pieces(lines, columns, ["row", "column"], Format.table, table.title, about)
