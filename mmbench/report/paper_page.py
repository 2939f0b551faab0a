"""`mmbench report --paper`: one page with every table and figure of the paper, printed and ours.

FOLDER/index.html   needs no server, nothing from outside and no other file
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.files import write_whole
from mmbench.pages.render import render
from mmbench.report.paper_figures import PaperFigure, Picture
from mmbench.tables import wide
from mmbench.tables.beside_printed import ERRORS, Line, PaperTable
from mmbench.tables.layout import Layout
from mmbench.tables.paper_notes import read_entries

TEMPLATES = Path(__file__).parent / "data"
PAGE = "index.html"
NOTABLE = 2.0  # |z| from which a difference stands out


def write_paper_page(
    tables: Sequence[PaperTable], figures: Sequence[PaperFigure], folder: Path, command: str
) -> list[dict[str, Any]]:
    """Write the page; one that is in the folder is replaced.

    Args:
        tables: In order.
        figures: In order.
        folder: Where it goes.
        command: What was typed, for the page.

    Returns:
        What was written, rows of file and what.

    Raises:
        MMBenchError: The folder cannot be written.
    """
    text = render_paper_page(tables, figures, command)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / PAGE, text.encode())
    except OSError as error:
        raise MMBenchError(f"Cannot write to {folder}: {error.strerror}.", "a folder you may write", "--to") from error
    numbers = [line for table in tables for line in table.lines]
    beside = sum(line.ours is not None for line in numbers)
    shown = sum(bool(figure.pictures or figure.curve_sets) for figure in figures)
    what = f"{beside} of {len(numbers)} printed numbers have ours beside, {shown} of {len(figures)} figures"
    return [{"file": str(folder / PAGE), "what": what}]


def render_paper_page(tables: Sequence[PaperTable], figures: Sequence[PaperFigure], command: str) -> str:
    """The page as HTML."""
    return render(
        TEMPLATES,
        "paper.html",
        tables=[_describe_table(table) for table in tables],
        figures=[_describe_figure(figure) for figure in figures],
        settings=[entry for entry in read_entries() if entry.holds_settings],
        errors=ERRORS,
        notable=NOTABLE,
        command=command,
    )


def _describe_table(table: PaperTable) -> dict[str, Any]:
    beside = sum(line.ours is not None for line in table.lines)
    far = sum(abs(line.over_error or 0.0) > NOTABLE for line in table.lines)
    if not beside:
        state = "printed only"
    else:
        state = f"{beside} of {len(table.lines)} numbers here, {far} with |z| above {NOTABLE:g}"
    columns, rows = table.printed_rows()
    values = {(line.row, line.column): line.printed for line in table.lines}
    printed = [
        {"row": row["row"], "cells": [_cell(row.get(c), values.get((row["row"], c))) for c in columns[1:]]}
        for row in rows
    ]
    return {
        "id": f"table-{table.number}",
        "title": table.title,
        "state": state,
        "lines": [_describe_line(line) for line in table.lines] if beside else [],
        "columns": columns[1:],
        "printed": printed,
        "entry": table.entry,
        "remarks": [note for note in table.remarks if note not in table.reasons],
        "miniatures": [_describe_miniature(layout) for layout in table.miniatures],
    }


def _describe_line(line: Line) -> dict[str, Any]:
    text, d, ours = line.to_text(), line.difference, line.ours
    numbers = {
        "printed": line.printed,
        "ours": ours.number.value if ours else None,
        "difference": d.value if d else None,
        "z": line.over_error,
    }
    far = abs(line.over_error or 0.0) > NOTABLE
    cells = {name: _cell(text[name], value) | {"far": far and name == "z"} for name, value in numbers.items()}
    about = {"row": line.row, "column": line.column, "n": text["n"] or "", "said": line.said}
    return about | {"cells": cells, "origin": ours.origin if ours else ""}


def _cell(text: str | None, value: float | None) -> dict[str, Any]:
    """What a cell shows, and the number that it sorts by."""
    return {"text": text or "", "value": "" if value is None else value}


def _describe_miniature(layout: Layout) -> dict[str, Any]:
    bare = replace(layout, table=[replace(row, paper={}) for row in layout.table])
    columns, rows = wide.to_rows(bare)
    cells = [["" if row.get(c) is None else str(row[c]) for c in columns] for row in rows]
    return {"title": layout.title, "columns": columns, "rows": cells, "notes": layout.notes}


def _describe_figure(figure: PaperFigure) -> dict[str, Any]:
    return {
        "id": f"figure-{figure.number}",
        "title": figure.title,
        "state": "ours here" if figure.pictures or figure.curve_sets else "not on record",
        "entry": figure.entry,
        "pictures": [{"caption": picture.caption, "source": _embed(picture)} for picture in figure.pictures],
        "curve_sets": figure.curve_sets,
        "notes": figure.notes,
    }


def _embed(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode()
