"""The layout of a table: typed rows and cells, the order of columns, the published numbers beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mmbench.scores.records import Record, finite
from mmbench.statistics.estimates import mean_estimate
from mmbench.tables.compare import Cell, comparable, heading
from mmbench.tables.format import count_text, signed, with_error
from mmbench.tables.numbers import as_row, numbers_of_cell, numbers_of_record
from mmbench.tables.published import printed_name, published_values
from mmbench.tables.suites import Suite
from mmbench.types import is_untrained

FIRST = ("dataset", "system", "row", "trainings", "samplings", "n", "weights", "networks")  # columns before the metrics


@dataclass(frozen=True)
class Number:
    """A value with its standard error."""

    value: float | None
    stderr: float | None

    def times(self, factor: int) -> Number:
        """Both multiplied."""
        return Number(*(None if x is None else x * factor for x in (self.value, self.stderr)))


@dataclass(frozen=True)
class MetricCell:
    """A metric in a row: the number of one run, or the mean over several trainings.

    Attributes:
        records: Of that run, or of each training.
        number: What is shown.
        difference: Paired difference to the pair alone, shown below the number; None where there is none.
        same_as: The other system whose number this is, for both show the same half; printed in parentheses.
        compared: What the number is compared with, where systems are.
        mark: What its difference or its floor comes to.
    """

    records: tuple[Record, ...]
    number: Number
    difference: Number | None = None
    same_as: str = ""
    compared: Cell | None = None
    mark: str = ""

    @property
    def metric(self) -> str:
        """name.variant."""
        return self.records[0].metric

    @property
    def heading(self) -> str:
        """Its column: the metric and an arrow in the direction that is good."""
        return heading(self.records[0])

    @property
    def count(self) -> str:
        """Samples that were scored, as text."""
        return "; ".join(dict.fromkeys(count_text(r) for r in self.records))

    @property
    def weights(self) -> str:
        """Kind of the system's weights where that is "random" or "tiny", else ""."""
        return kind if is_untrained(kind := self.records[0].weights) else ""

    @property
    def networks(self) -> str:
        """The same of the metric's networks."""
        return kind if is_untrained(kind := self.records[0].extractor_weights) else ""

    def times(self, factor: int) -> MetricCell:
        """The cell with its number and difference multiplied, as a paper prints them."""
        difference = self.difference and self.difference.times(factor)
        return replace(self, number=self.number.times(factor), difference=difference)

    def to_text(self, digits: int | None = None) -> str | None:
        """ "0.312 ± 0.021", in parentheses if it is another system's, with the difference on a line of its own.

        Args:
            digits: Decimals; by default as many as its own error allows.
        """
        text = with_error(self.number.value, self.number.stderr, digits)
        if text and self.same_as:
            text = f"({text})"
        if self.difference is None or self.difference.value is None:
            return text
        return f"{text}\nΔ {signed(self.difference.value, self.difference.stderr)}"

    def to_json(self) -> dict[str, Any]:
        """The numbers without rounding."""
        more: dict[str, Any] = {"same_as": self.same_as or None}
        if self.compared is not None:
            more = numbers_of_cell(self.compared)
        elif len(self.records) == 1:
            more |= numbers_of_record(self.records[0])
        out: dict[str, Any] = {**more, **vars(self.number), "trainings": [r.value for r in self.records]}
        return out | ({"difference": dict(vars(self.difference))} if self.difference else {})


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        labels: What the row is about, by column: system, dataset, row, trainings.
        cells: Its metrics.
        paper: The published numbers that stand beside, by their column in the paper.
        status: What is missing of it; None for rows that need nothing.
    """

    labels: Mapping[str, Any]
    cells: Sequence[MetricCell]
    paper: Mapping[str, float] = field(default_factory=dict)
    status: str | None = None

    def to_text(self) -> dict[str, Any]:
        """The row as it is printed, by column; n is that of the metric with most, notes tell of the others."""
        out = dict(self.labels)
        if self.cells:
            out["n"] = max(self.cells, key=lambda cell: cell.records[0].n_scored).count
        out |= {cell.heading: cell.to_text() for cell in self.cells}
        for column, kinds in (
            ("weights", [c.weights for c in self.cells]),
            ("networks", [c.networks for c in self.cells]),
        ):
            if any(kinds):
                out[column] = ", ".join(dict.fromkeys(kind for kind in kinds if kind))
        out |= {} if self.status is None else {"status": self.status}
        return out | {f"paper {name}": value for name, value in self.paper.items()}

    def to_json(self) -> dict[str, Any]:
        """The row by column, with numbers in place of their text; n is None where metrics differ in it."""
        counts = {r.n_scored for cell in self.cells for r in cell.records}
        n = {"n": counts.pop() if len(counts) == 1 else None} if self.cells else {}
        values = {cell.heading: cell.number.value for cell in self.cells}
        return self.to_text() | n | values | {"numbers": self.numbers()}

    def numbers(self) -> dict[str, Any]:
        """Its numbers without rounding, by metric."""
        return {cell.metric: cell.to_json() for cell in self.cells}


@dataclass(frozen=True)
class Layout:
    """A table of scores, from which every format is printed.

    Attributes:
        table: Its rows.
        title: Line above it.
        notes: Lines below it.
        in_columns: Those of the notes that the long table has as columns.
        first: Columns before the metrics, as far as any row has them.
        compared: Cells by metric where it compares systems; JSON then has one row for each.
        suite: Whose columns it has, in its order; None for a table of no suite.
    """

    table: Sequence[Row]
    title: str = ""
    notes: Sequence[str] = ()
    in_columns: Sequence[str] = ()
    first: Sequence[str] = FIRST
    compared: Sequence[Sequence[Cell]] = ()
    suite: Suite | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows for JSON, with numbers only: those of the metrics themselves, whatever a suite multiplies them by."""
        suite = {"suite": self.suite.name} if self.suite else {}
        if self.compared:
            return [as_row(cell) | suite for column in self.compared for cell in column]
        return [row.to_json() | suite for row in self.table]

    @property
    def headings(self) -> dict[str, str]:
        """Headings of its metrics with the metrics: those of the suite first, in its order."""
        found = {cell.heading: cell.metric for row in self.table for cell in row.cells}
        if self.suite is None:
            return found
        place = self.suite.place
        return dict(sorted(found.items(), key=lambda item: place(item[1])))

    @property
    def columns(self) -> list[str]:
        """Columns that any row has: who, how many, then every metric with the paper's number beside it."""
        shown = [row.to_text() for row in self.table]
        metrics = {heading: printed_name(metric) for heading, metric in self.headings.items()}
        paper = dict.fromkeys(name for row in self.table for name in row.paper)
        columns = [c for c in self.first if any(row.get(c) is not None for row in shown)]
        for column, name in metrics.items():
            columns.append(column)
            if name in paper and f"paper {name}" not in columns:
                columns.append(f"paper {name}")
        columns += [f"paper {name}" for name in paper if f"paper {name}" not in columns]
        return columns + (["status"] if any(row.status for row in self.table) else [])


def make_cell(records: Sequence[Record], paired: Sequence[Number] = (), same_as: str = "") -> MetricCell:
    """The cell of a metric: of one record, or of the records of several trainings.

    Args:
        records: One or more, of one metric.
        paired: Differences of the same runs to the pair alone, each with its standard error over samples.
        same_as: See `MetricCell`.
    """
    number = Number(records[0].value, records[0].stderr)
    if len(records) > 1:
        number = mean_number([r.value for r in records])
    return MetricCell(tuple(records), number, average_differences(paired) if paired else None, same_as)


def mean_number(values: Sequence[float | None]) -> Number:
    """The mean of values, with its standard error where there are several."""
    mean = mean_estimate(np.array([np.nan if value is None else value for value in values]))
    return Number(finite(mean.value), finite(mean.stderr))


def average_differences(paired: Sequence[Number]) -> Number:
    """The mean of paired differences, with an error over samples and, where there are several, over trainings."""
    values = np.array([d.value for d in paired], np.float64)
    between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
    over_samples = np.mean([(d.stderr or 0.0) ** 2 for d in paired])
    return Number(float(values.mean()), float(np.sqrt(over_samples + between)))


def owners_of(rows: Sequence[Row]) -> dict[str, str]:
    """The systems whose halves another one of the table shows, by that one's name: "a", or "a and b"."""
    owners: dict[str, dict[str, None]] = {}
    for row in rows:
        for cell in row.cells:
            if cell.same_as:
                owners.setdefault(str(row.labels.get("system")), {})[cell.same_as] = None
    return {system: " and ".join(names) for system, names in owners.items()}


def select_published(number: str, key: Sequence[Any], metrics: Iterable[str]) -> dict[str, float]:
    """Published numbers of a row that belong to `metrics`, by their column in the paper."""
    values = published_values(number, key)
    names = dict.fromkeys(printed_name(metric) for metric in metrics)
    return {name: values[name] for name in names if name in values}


def check_columns(records: Sequence[Record]) -> None:
    """Refuse a column that mixes n, signatures or kinds of weights.

    Raises:
        MMBenchError: Says what differs.
    """
    columns: dict[tuple[str, str], list[Record]] = {}
    for r in records:
        columns.setdefault((r.dataset, r.metric), []).append(r)
    for column in columns.values():
        comparable(column)
