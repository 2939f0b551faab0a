"""The layout of a table: typed rows and cells, the order of columns, the published numbers beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmbench.scores.records import Record, finite
from mmbench.statistics.estimates import mean_estimate
from mmbench.tables.compare import comparable, heading
from mmbench.tables.format import count_text, signed, with_error
from mmbench.tables.published import printed_name, published_values
from mmbench.types import is_untrained

FIRST = ("dataset", "system", "row", "trainings", "samplings", "n", "weights", "networks")  # columns before the metrics
NOTE = "(): the videos are another system's, and so is this number."


@dataclass(frozen=True)
class Number:
    """A value with its standard error."""

    value: float | None
    stderr: float | None


@dataclass(frozen=True)
class MetricCell:
    """A metric in a row: the number of one run, or the mean over several trainings.

    Attributes:
        metric: name.variant.
        heading: Its column: the metric and an arrow in the direction that is good.
        number: What is shown.
        trainings: The value of each run that it is the mean of.
        count: Samples that were scored.
        difference: Paired difference to the pair alone; None where there is none.
        borrowed: Whether it is the number of the other system whose videos the run shows; printed in parentheses.
        weights: Kind of the system's weights where that is "random" or "tiny", else "".
        networks: The same of the metric's networks.
    """

    metric: str
    heading: str
    number: Number
    trainings: tuple[float | None, ...]
    count: str
    difference: Number | None = None
    borrowed: bool = False
    weights: str = ""
    networks: str = ""

    @property
    def text(self) -> str | None:
        """ "0.312 ± 0.021", in parentheses if borrowed, with the difference on a line of its own."""
        text = with_error(self.number.value, self.number.stderr)
        if text and self.borrowed:
            text = f"({text})"
        if self.difference is None or self.difference.value is None:
            return text
        return f"{text}\nΔ {signed(self.difference.value, self.difference.stderr)}"

    def to_json(self) -> dict[str, Any]:
        """The numbers without rounding."""
        out: dict[str, Any] = {**vars(self.number), "trainings": list(self.trainings)}
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

    def to_json(self) -> dict[str, Any]:
        """The row as it is printed, by column."""
        out = dict(self.labels)
        if self.cells:
            out["n"] = "; ".join(dict.fromkeys(cell.count for cell in self.cells))
        out |= {cell.heading: cell.text for cell in self.cells}
        for column, kinds in (
            ("weights", [c.weights for c in self.cells]),
            ("networks", [c.networks for c in self.cells]),
        ):
            if any(kinds):
                out[column] = ", ".join(dict.fromkeys(kind for kind in kinds if kind))
        out |= {} if self.status is None else {"status": self.status}
        return out | {f"paper {name}": value for name, value in self.paper.items()}

    def numbers(self) -> dict[str, Any]:
        """Its numbers without rounding, by metric."""
        return {cell.metric: cell.to_json() for cell in self.cells}


@dataclass(frozen=True)
class Layout:
    """A table ready to be printed."""

    table: Sequence[Row]
    title: str = ""
    notes: Sequence[str] = ()
    first: Sequence[str] = FIRST
    with_numbers: bool = True

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows as they are printed, for JSON with their `numbers`."""
        return [row.to_json() | ({"numbers": row.numbers()} if self.with_numbers else {}) for row in self.table]

    @property
    def columns(self) -> list[str]:
        """Columns that any row has: who, how many, then every metric with the paper's number beside it."""
        shown = [row.to_json() for row in self.table]
        metrics = {cell.heading: printed_name(cell.metric) for row in self.table for cell in row.cells}
        paper = dict.fromkeys(name for row in self.table for name in row.paper)
        columns = [c for c in self.first if any(row.get(c) is not None for row in shown)]
        for column, name in metrics.items():
            columns.append(column)
            if name in paper and f"paper {name}" not in columns:
                columns.append(f"paper {name}")
        columns += [f"paper {name}" for name in paper if f"paper {name}" not in columns]
        return columns + (["status"] if any(row.status for row in self.table) else [])


def make_cell(records: Sequence[Record], paired: Sequence[Number] = (), borrowed: bool = False) -> MetricCell:
    """The cell of a metric: of one record, or of the records of several trainings.

    Args:
        records: One or more, of one metric.
        paired: Differences of the same runs to the pair alone, each with its standard error over samples.
        borrowed: See `MetricCell`.
    """
    first = records[0]
    number = Number(first.value, first.stderr)
    if len(records) > 1:
        number = mean_number([r.value for r in records])
    return MetricCell(
        first.metric,
        heading(first),
        number,
        tuple(r.value for r in records),
        "; ".join(dict.fromkeys(count_text(r) for r in records)),
        average_differences(paired) if paired else None,
        borrowed,
        first.weights if is_untrained(first.weights) else "",
        first.extractor_weights if is_untrained(first.extractor_weights) else "",
    )


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


def is_borrowed(record: Record, column: Sequence[Record]) -> bool:
    """Whether a record has the number of the system in `column` whose videos its run shows."""
    return any(r.system == record.video_of and r.value == record.value for r in column)


def note_borrowed(rows: Sequence[Row]) -> list[str]:
    """The note that explains parentheses, if there are any."""
    return [NOTE] if any(cell.borrowed and cell.text for row in rows for cell in row.cells) else []


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
