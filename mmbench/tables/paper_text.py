"""All tables of the paper as text: in a terminal one after the other, else as one table to paste or to read in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmbench.console import Format, show_notes, show_rows, table_width, terminal_width
from mmbench.tables.beside_printed import COLUMNS, ERRORS, PaperTable
from mmbench.tables.narrow import UNDAMAGED, show_pieces

NUMBERS = (
    *("table", "row", "column", "printed", "printed_stderr", "ours", "stderr", "n", "difference", "difference_stderr"),
    *("z", "origin", "unlike", "reason", "differs", "command"),
)


def show_paper(tables: Sequence[PaperTable], format: Format, damaged: Mapping[str, str] = UNDAMAGED) -> None:
    """Print tables of the paper beside ours.

    Args:
        tables: In order.
        format: A terminal has a part for each table, with what differs below; JSON and CSV have a row for each number,
            without rounding; Markdown, LaTeX and HTML the same rows as text.
        damaged: What is wrong with runs that cannot be read, by name; each has a line that says so, in every format.
    """
    if format is Format.json or format is Format.csv:
        numbers = [row for table in tables for row in table.to_rows()]
        lost = [{"row": name, "reason": f"damaged: {found}"} for name, found in damaged.items()]
        return show_rows([*numbers, *lost], NUMBERS, format)
    if format is not Format.table:
        rows = [
            {"table": table.number, **line.to_text(), "why": line.said or (table.entry.differs if not k else None)}
            for table in tables
            for k, line in enumerate(table.lines)
        ]
        rows += [{"row": name, "why": f"damaged: {found}"} for name, found in damaged.items()]
        remarks = [f"{table.title}. Ours: {table.entry.command}" for table in tables]
        return show_rows(rows, ["table", *COLUMNS, "why"], format, "", [*remarks, ERRORS])
    for table in tables:
        _show(table)
        print()
    errors = [ERRORS] if any(table.has_ours for table in tables) else []
    return show_notes([*errors, *(f"{name}: damaged: {found}" for name, found in damaged.items())])


def _show(table: PaperTable) -> None:
    """One table in a terminal: the printed numbers alone where nothing of ours is on record."""
    settings = [f"Published with: {table.entry.settings}."] if table.entry.settings else []
    about = [*settings, f"What differs: {table.entry.differs}.", f"Ours: {table.entry.command}", *table.remarks]
    if not table.has_ours:
        columns, rows = table.printed_rows()
        return show_pieces(rows, columns, ["row"], Format.table, table.title, about)
    lines: Sequence[Mapping[str, str | None]] = [line.to_text() for line in table.lines]
    keys = ["row", "column"]
    if table_width(lines, COLUMNS) > terminal_width():
        lines, keys = _stack(lines), ["row"]
    columns = [*keys, *(name for name in COLUMNS if name not in ("row", "column"))]
    if table_width(lines, columns) > terminal_width():
        columns.remove("n")
    return show_pieces(lines, columns, keys, Format.table, table.title, about)


def _stack(lines: Sequence[Mapping[str, str | None]]) -> list[Mapping[str, str | None]]:
    """Lines for a narrow terminal: the name of a row above its numbers, which are told apart by their columns."""
    stacked: list[Mapping[str, str | None]] = []
    row = None
    for line in lines:
        if line["row"] != row:
            row = line["row"]
            stacked.append(dict.fromkeys(COLUMNS, "") | {"row": str(row).replace(", ", ",\n")})
        stacked.append({**line, "row": f"  {line['column']}"})
    return stacked
