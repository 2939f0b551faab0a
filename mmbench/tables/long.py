"""A score table with a row for each system and metric: everything that is known of a number, as text or as numbers."""

from __future__ import annotations

from typing import Any

from mmbench.tables.compare import Cell
from mmbench.tables.format import interval_text, signed, with_error
from mmbench.tables.layout import Layout, MetricCell, Row
from mmbench.tables.marks import needed_text
from mmbench.tables.numbers import FLAT, flatten_numbers
from mmbench.tables.published import printed_name
from mmbench.tables.wide import short_headings

LABELS = ("dataset", "system", "group", "row", "trainings", "samplings")
COLUMNS = ("metric", "value", "paper", "95 %", "shuffled", "n", "Δ [95 %]", "to", "p", "won", "needs n", "status")


def to_rows(layout: Layout) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of the long table that any row has, and its rows as text."""
    short = short_headings(layout)
    rows = [_text_of(row, cell) | {"metric": short[cell.heading]} for row, cell in _in_order(layout)]
    shown = [c for c in (*LABELS, *COLUMNS) if any(row.get(c) not in (None, "") for row in rows)]
    alike = [c for c in ("dataset",) if "system" in shown and len({row.get(c) for row in rows}) == 1]
    return [c for c in shown if c not in alike], rows


def to_numbers(layout: Layout) -> tuple[list[str], list[dict[str, Any]]]:
    """The same rows with numbers alone, each in a column of its own, for CSV."""
    rows = []
    for row, cell in _in_order(layout):
        paper = row.paper.get(printed_name(cell.metric))
        rows.append({**row.labels, "metric": cell.metric, **flatten_numbers(cell.to_json()), "paper": paper})
    for row in (row for row in layout.table if not row.cells):  # nothing is on record: what the paper prints
        rows += [{**row.labels, "metric": name, "paper": value} for name, value in row.paper.items()]
    has_paper = any(row.get("paper") is not None for row in rows)
    labels = dict.fromkeys(name for row in layout.table for name in row.labels)
    more = ["paper"] * has_paper
    if layout.suite:
        rows, more = [row | {"suite": layout.suite.name} for row in rows], [*more, "suite"]
    return [*labels, "metric", *FLAT, *more], rows


def _in_order(layout: Layout) -> list[tuple[Row, MetricCell]]:
    """The numbers of a table metric by metric, so that systems stand below each other."""
    return [
        (row, cell)
        for metric in layout.headings
        for row in layout.table
        for cell in row.cells
        if cell.heading == metric
    ]


def _text_of(row: Row, cell: MetricCell) -> dict[str, Any]:
    r = cell.records[0]
    one = len(cell.records) == 1
    number = with_error(cell.number.value, cell.number.stderr)
    d = cell.difference
    return {
        **row.labels,
        "value": f"({number})" if number and cell.same_as else f"{number}{cell.mark}" if number else None,
        "paper": row.paper.get(printed_name(cell.metric)),
        "95 %": interval_text(r.low, r.high, r.stderr) if one else None,
        "shuffled": with_error(r.baseline, r.baseline_stderr) if one else None,
        "n": cell.count,
        "Δ [95 %]": signed(d.value, d.stderr) if d and d.value is not None else None,
        **(_compared(cell.compared) if cell.compared else {}),
        "status": row.status,
    }


def _compared(cell: Cell) -> dict[str, Any]:
    d, wins = cell.difference, cell.wins
    shares = None if wins is None else [f"{x:.0%}" for x in (wins.share, wins.low, wins.high)]
    interval = None if d is None else interval_text(d.low, d.high, d.stderr, sign=True)
    parts = [] if d is None else [signed(d.value, d.stderr), interval]
    p = cell.p_adjusted
    return {
        "Δ [95 %]": " ".join(part for part in parts if part) or None,
        "to": cell.against or None,
        "p": None if p is None else "<0.001" if p < 0.001 else f"{p:.3f}",
        "won": None if shares is None else f"{shares[0]} [{shares[1]}, {shares[2]}]",
        "needs n": None if cell.needs is None else needed_text(cell.needs),
    }
