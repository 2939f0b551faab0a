"""The layout of a table of the paper: rows, columns, the published numbers beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmbench.scores.records import Record, finite
from mmbench.statistics.estimates import mean_estimate
from mmbench.tables.compare import comparable
from mmbench.tables.format import count_text, signed, with_error
from mmbench.tables.published import printed_name, published_values
from mmbench.types import is_untrained

FIRST = ("dataset", "system", "row", "trainings", "n", "weights", "networks")  # columns before the metrics


@dataclass(frozen=True)
class Layout:
    """A table ready to be printed."""

    rows: list[dict[str, Any]]
    columns: list[str]
    title: str
    notes: list[str]


def _fill(
    row: dict[str, Any], metric: str, records: Sequence[Record], paired: Sequence[Mapping[str, float]] = ()
) -> None:
    """Put a metric of one or several trainings into a row, with what a reader must know beside it."""
    if not records:
        return
    first = records[0]
    value, stderr = first.value, first.stderr
    if len(records) > 1:
        mean = mean_estimate(np.array([np.nan if r.value is None else r.value for r in records]))
        value, stderr = finite(mean.value), finite(mean.stderr)
    row[_heading(first)] = with_error(value, stderr)
    row["n"] = "; ".join(dict.fromkeys(count_text(r) for r in records))
    row["numbers"][metric] = {"value": value, "stderr": stderr, "trainings": [r.value for r in records]}
    if paired:
        values = np.array([d["value"] for d in paired])
        between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
        error = float(np.sqrt(np.mean([d["stderr"] ** 2 for d in paired]) + between))
        row["numbers"][metric]["difference"] = {"value": float(values.mean()), "stderr": error}
        row[_heading(first)] += f"\nΔ {signed(float(values.mean()), error)}"
    for column, kind in (("weights", first.weights), ("networks", first.extractor_weights)):
        if is_untrained(kind):
            row[column] = kind


def _heading(record: Record) -> str:
    return record.metric + (" ↑" if record.higher_is_better else " ↓")


def _paper(number: str, key: Sequence[Any], metrics: Iterable[str]) -> dict[str, Any]:
    values = published_values(number, key)
    names = dict.fromkeys(printed_name(metric) for metric in metrics)
    return {f"paper {name}": values[name] for name in names if name in values}


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns that any row has: who, how many, then every metric with the paper's beside it."""
    known = list(dict.fromkeys(column for row in rows for column in row))
    measured = [c for c in known if c not in (*FIRST, "numbers", "status") and not c.startswith("paper ")]
    paper = [c for c in known if c.startswith("paper ")]
    beside = []
    for column in measured:
        name = f"paper {printed_name(column.partition(' ')[0])}"
        beside += [column, name] if name in paper and name not in beside else [column]
    rest = [c for c in paper if c not in beside]
    status = ["status"] if any(row.get("status") for row in rows) else []
    return [*(c for c in FIRST if any(row.get(c) is not None for row in rows)), *beside, *rest, *status]


def _check(records: Sequence[Record]) -> None:
    """Refuse a column that mixes n, signatures or kinds of weights."""
    columns: dict[tuple[str, str], list[Record]] = {}
    for r in records:
        columns.setdefault((r.dataset, r.metric), []).append(r)
    for column in columns.values():
        comparable(column)
