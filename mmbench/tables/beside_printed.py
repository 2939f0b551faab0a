"""A table of the paper number by number: printed, ours, the difference, and the difference over its error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmbench.tables.format import signed, with_error
from mmbench.tables.layout import Layout, Number
from mmbench.tables.paper_notes import Entry
from mmbench.tables.published import published

COLUMNS = ("row", "column", "printed", "ours", "n", "difference", "z")
ERRORS = (
    "z: the difference over its standard error, which is ours, and the printed number's where it has one; what the "
    "paper's other numbers scatter by is not known."
)


@dataclass(frozen=True)
class Ours:
    """A number of ours that belongs beside a printed one.

    Attributes:
        number: With its standard error.
        n: What it is of: samples, seeds, rounds, answers.
        origin: The run or file that holds it.
        unlike: Why it is not subtracted from the printed one; "" if it is.
    """

    number: Number
    n: str
    origin: str
    unlike: str = ""


@dataclass(frozen=True)
class Line:
    """One printed number.

    Attributes:
        row, column: Where it stands.
        printed: The number.
        text: As it is printed.
        printed_error: Its standard error; None where the paper has none.
        ours: None where nothing is on record.
        reason: Why it differs, where more is known of it than of its table.
        unit: Of both numbers, after them: " %" or "".
    """

    row: str
    column: str
    printed: float
    text: str
    printed_error: float | None = None
    ours: Ours | None = None
    reason: str = ""
    unit: str = ""

    @property
    def difference(self) -> Number | None:
        """Ours less the printed number, with its standard error; None where they are not subtracted."""
        if self.ours is None or self.ours.unlike or self.ours.number.value is None:
            return None
        error = self.ours.number.stderr
        whole = None if error is None else math.hypot(error, self.printed_error or 0.0)
        return Number(self.ours.number.value - self.printed, whole)

    @property
    def over_error(self) -> float | None:
        """The difference over its standard error; None without either."""
        d = self.difference
        return None if d is None or d.value is None or not d.stderr else d.value / d.stderr

    @property
    def said(self) -> str:
        """Why it is not subtracted, and why it differs."""
        parts = (self.ours.unlike if self.ours else "", self.reason)
        return "; ".join(part for part in parts if part)

    def to_text(self) -> dict[str, str | None]:
        """The line as it is printed, by column."""
        d, ratio, ours = self.difference, self.over_error, self.ours
        number = ours and with_error(ours.number.value, ours.number.stderr)
        return {
            "row": self.row,
            "column": self.column,
            "printed": self.text,
            "ours": f"{number}{self.unit}" if number else None,
            "n": ours.n if ours else None,
            "difference": None if d is None or d.value is None else signed(d.value, d.stderr).partition(" ")[0],
            "z": None if ratio is None else f"{ratio:+.1f}",
        }

    def to_json(self) -> dict[str, Any]:
        """The line with numbers without rounding."""
        d, ours = self.difference, self.ours
        return {
            "row": self.row,
            "column": self.column,
            "printed": self.printed,
            "printed_stderr": self.printed_error,
            "ours": ours and ours.number.value,
            "stderr": ours and ours.number.stderr,
            "n": ours.n if ours else None,
            "difference": d and d.value,
            "difference_stderr": d and d.stderr,
            "z": self.over_error,
            "origin": ours.origin if ours else None,
            "unlike": (ours.unlike or None) if ours else None,
        }


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper beside ours.

    Attributes:
        number: Its number.
        entry: What reproduces it.
        lines: Its numbers, row by row.
        notes: What is on record of it and does not stand beside, with the command that shows it.
        miniatures: The same experiment with other base models, data or settings: not the paper's numbers.
    """

    number: str
    entry: Entry
    lines: Sequence[Line]
    notes: Sequence[str] = ()
    miniatures: Sequence[Layout] = ()

    @property
    def title(self) -> str:
        """ "Table 2: In-domain"."""
        return f"Table {self.number}: {published()[self.number]['title']}"

    @property
    def has_ours(self) -> bool:
        """Whether anything of ours stands beside a printed number."""
        return any(line.ours for line in self.lines)

    @property
    def remarks(self) -> list[str]:
        """What to know of its numbers: what is printed below it, why single ones differ, and `notes`."""
        return [*([str(note)] if (note := published()[self.number].get("note")) else []), *self.reasons, *self.notes]

    @property
    def reasons(self) -> list[str]:
        """Why single numbers differ or are not subtracted, each reason once, with its places."""
        places: dict[str, list[str]] = {}
        for line in self.lines:
            if line.said and line.ours:
                places.setdefault(line.said, []).append(f"{line.row}, {line.column}")
        return [f"{'; '.join(where)}: {why}." for why, where in places.items()]

    def printed_rows(self) -> tuple[list[str], list[dict[str, str]]]:
        """The printed numbers alone, as the paper lays them out: columns, and rows as text."""
        there = {line.column for line in self.lines}
        columns = [name for name in published()[self.number]["columns"] if name in there]
        rows: dict[str, dict[str, str]] = {}
        for line in self.lines:
            rows.setdefault(line.row, {"row": line.row})[line.column] = line.text
        return ["row", *columns], list(rows.values())

    def to_rows(self) -> list[dict[str, Any]]:
        """A row for each number, as JSON has it, with table, reason and command."""
        about = {"differs": self.entry.differs, "command": self.entry.command}
        return [{"table": self.number, **line.to_json(), "reason": line.reason or None, **about} for line in self.lines]


def make_line(entry: Entry, table: str, row: str, column: str, cell: Any, ours: Ours | None = None) -> Line:
    """The line of a printed cell.

    Args:
        entry: Of the table.
        table: Its number.
        row: Of the cell.
        column: The same.
        cell: A number, [mean, standard deviation] or "15%".
        ours: What stands beside.
    """
    about: dict[str, Any] = {"ours": ours, "reason": entry.reason(table, row, column)}
    if isinstance(cell, str):
        return Line(row, column, float(cell.removesuffix("%")), cell.replace("%", " %"), unit=" %", **about)
    if isinstance(cell, Sequence):
        mean, deviation = cell
        error = deviation / math.sqrt(entry.printed_runs) if entry.printed_runs else None
        return Line(row, column, mean, f"{mean:g} ± {deviation:g}", error, **about)
    return Line(row, column, cell, f"{cell:g}", **about)


def printed_cells(table: str, key: int) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """The printed cells by the first `key` cells of their row, then by column, without empty ones."""
    printed = published()[table]
    names = printed["columns"][key:]
    return {
        tuple(row[:key]): {name: cell for name, cell in zip(names, row[key:], strict=True) if cell is not None}
        for row in printed["rows"]
    }
