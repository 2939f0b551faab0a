"""A score table as people read it: short headings, numbers that line up, the best in bold, the rest in a legend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmbench.markup import Strong
from mmbench.tables.borrowed import CONTROLS
from mmbench.tables.excess import is_excess
from mmbench.tables.format import column_digits
from mmbench.tables.layout import Layout, MetricCell, Row


class Title(NamedTuple):
    """What stands above a column, and what its numbers are multiplied by."""

    text: str
    factor: int = 1


ASIDE = ("dataset", "n", "weights", "networks")  # columns that go to the legend where all rows agree


def to_rows(layout: Layout) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of a table and its rows as text.

    Numbers of a metric have equal decimals and marks a place of their own; the best is a `Strong`.
    """
    titles = make_titles(layout)
    absent = "-" if layout.suite else None
    rows = [row.to_text() for row in layout.table]
    for heading, (name, factor) in titles.items():
        held = [next((c for c in row.cells if c.heading == heading), None) for row in layout.table]
        column = [cell and cell.times(factor) for cell in held]
        digits = column_digits(cell.number.stderr for cell in column if cell)
        best = find_best(layout.table, heading)
        has_marks = any(cell.mark or cell.same_as for cell in column if cell)
        texts = [_lines(cell, digits, has_marks) if cell else [] for cell in column]
        width = max([len(name), *(len(line) for lines in texts for line in lines)])
        for k, (row, lines) in enumerate(zip(rows, texts, strict=True)):
            row.pop(heading, None)
            text = "\n".join(line.rjust(width) for line in lines)
            row[name] = (Strong(text) if k in best else text) if lines else absent
    aside = agreed(rows, layout)
    columns = [titles[c].text if c in titles else c for c in layout.columns if c not in aside]
    if layout.suite:
        shown = [title.text for title in titles.values()]
        columns = [*(c for c in columns if c not in shown), *shown]
    return columns, rows


def agreed(rows: Sequence[dict[str, Any]], layout: Layout) -> dict[str, Any]:
    """What all rows of a table have alike, by column, where that needs no column of its own."""
    there = [column for column in ASIDE if column in layout.columns]
    values = {column: {row.get(column) for row in rows} for column in there}
    return {column: found.pop() for column, found in values.items() if len(found) == 1}


def describe_rows(layout: Layout) -> list[str]:
    """Lines of the legend: what all rows have alike and the title does not say, and variants of metrics."""
    alike = agreed([row.to_text() for row in layout.table], layout)
    if not any(row.cells for row in layout.table):
        return []
    given = {column: value for column, value in alike.items() if (column, value) != ("dataset", "none")}
    words = [f"n = {value}" if column == "n" else f"{column} {value}" for column, value in given.items()]
    told = [word for word in words if not _says(layout.title, word.removeprefix("dataset "))]
    variants: dict[str, list[str]] = {}
    for heading, name in short_headings(layout).items():
        metric, _, variant = heading[:-2].partition(".")
        if variant and name[:-2] == metric and not is_excess(heading[:-2]):
            variants.setdefault(variant, []).append(metric)
    told += [f"{variant}: {', '.join(metrics)}" for variant, metrics in variants.items()]
    return ["; ".join(told) + "."] if told else []


def short_headings(layout: Layout) -> dict[str, str]:
    """Headings of metrics without their variants, except where a table has two variants of one metric."""
    names = {heading: heading[:-2].partition(".")[0] + heading[-2:] for heading in layout.headings}
    return {h: h if list(names.values()).count(name) > 1 else name for h, name in names.items()}


def make_titles(layout: Layout) -> dict[str, Title]:
    """What stands above each metric, by heading: in a suite the paper's names, of metrics not on record, too."""
    short = short_headings(layout)
    titles: dict[str, Title] = {}
    for column in layout.suite.columns if layout.suite else ():
        found = next((h for h, metric in layout.headings.items() if column.holds(metric)), column.title)
        excess = next((h for h, metric in layout.headings.items() if column.holds_excess(metric)), "")
        for heading, shown in ((excess, column.of_excess), (found, column)) if excess else ((found, column),):
            own = short.get(heading, shown.title)
            titles[heading] = Title(shown.title if shown.printed else own, shown.factor)
    return titles | {heading: Title(name) for heading, name in short.items() if heading not in titles}


def find_best(rows: Sequence[Row], heading: str) -> set[int]:
    """The rows with the best number of a metric, of each dataset and group with two or more systems to choose from.

    Controls, borrowed numbers and those that a system was optimised for do not compete.
    """
    groups: dict[Any, dict[int, float]] = {}
    higher = True
    for k, row in enumerate(rows):
        cell = next((c for c in row.cells if c.heading == heading), None)
        if cell is None or cell.number.value is None or cell.same_as or row.labels.get("system") in CONTROLS:
            continue
        if cell.records[0].optimised_for:
            continue
        higher = cell.records[0].higher_is_better
        groups.setdefault((row.labels.get("dataset"), row.labels.get("group")), {})[k] = cell.number.value
    best = {group: (max if higher else min)(values.values()) for group, values in groups.items() if len(values) > 1}
    return {k for group, value in best.items() for k, x in groups[group].items() if x == value}


def _says(title: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", title) is not None


def _lines(cell: MetricCell, digits: int, has_marks: bool) -> list[str]:
    """The lines of a cell, the number with room for a mark where its column has any."""
    first, *more = (cell.to_text(digits) or "").split("\n")
    first += cell.mark or (" " if has_marks and not cell.same_as else "")
    return [first, *(line + " " * has_marks for line in more)]
