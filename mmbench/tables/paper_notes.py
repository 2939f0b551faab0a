"""What reproduces each table and figure of the paper, and why ours differ: `data/paper_notes.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "data" / "paper_notes.toml"


@dataclass(frozen=True, kw_only=True)
class RowNote:
    """Why numbers of one place in a table differ.

    Attributes:
        table: Its number.
        reason: The words.
        row, column: Patterns of the names of its rows and columns.
    """

    table: str
    reason: str
    row: str = "*"
    column: str = "*"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An experiment of the paper: the tables and figures that show it, and how ours is made.

    Attributes:
        what: It in a few words.
        command: What makes ours.
        differs: What is known to differ, and why.
        settings: Of the published experiment.
        tables: Their numbers.
        figures: What each shows, by number.
        num_samples: Of each system; None where nothing is generated.
        num_inference_steps: Steps of its samplers; None where runs need not be told apart by them.
        printed_runs: Runs whose standard deviation the printed numbers have; None where they have none.
        holds_settings: Whether its tables hold no results.
        rows: Reasons of single places, the first that fits counts.
    """

    what: str
    command: str
    differs: str
    settings: str = ""
    tables: tuple[str, ...] = ()
    figures: Mapping[str, str]
    num_samples: int | None = None
    num_inference_steps: int | None = None
    printed_runs: int | None = None
    holds_settings: bool = False
    rows: tuple[RowNote, ...] = ()

    @property
    def label(self) -> str:
        """ "Table 1, Figures 2, 4"."""
        named = (("Table", self.tables), ("Figure", tuple(self.figures)))
        return ", ".join(f"{kind}{'s' * (len(n) > 1)} {', '.join(n)}" for kind, n in named if n)

    def reason(self, table: str, row: str, column: str) -> str:
        """Why the number of a place differs; "" where nothing more is known than of the whole table."""
        fits = (n for n in self.rows if n.table == table and fnmatchcase(row, n.row) and fnmatchcase(column, n.column))
        return next((note.reason for note in fits), "")


@cache
def read_entries() -> tuple[Entry, ...]:
    """All experiments, in the order of the paper's tables."""
    found = []
    for entry in tomllib.loads(FILE.read_text(encoding="utf-8"))["entries"]:
        rows = tuple(RowNote(**row) for row in entry.pop("rows", ()))
        tables, figures = tuple(entry.pop("tables", ())), entry.pop("figures", {})
        found.append(Entry(tables=tables, figures=figures, rows=rows, **entry))
    return tuple(found)


def entry_of(table: str) -> Entry:
    """The experiment of a table, by its number."""
    return next(entry for entry in read_entries() if table in entry.tables)
