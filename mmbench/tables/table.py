"""The standing table of a results folder: systems by metrics, each number with its error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.scores.records import Record
from mmbench.tables.compare import comparable
from mmbench.tables.layout import Layout, MetricCell, Row, is_borrowed, make_cell, note_borrowed
from mmbench.tables.runs import find_records

FIRST = ("system", "dataset", "n", "weights", "networks")  # columns before the metrics


def gather(out: Path, **filters: Any) -> list[Record]:
    """The records in `out` that fit the filters, the latest per system and metric.

    Args:
        out: Folder of runs, or a packed file.
        **filters: Of `mmbench.tables.runs.find_records`, which raises where nothing fits.
    """
    latest: dict[tuple[Any, ...], Record] = {}
    for _, r in find_records(out, **filters):
        key = (r.system, r.dataset, r.metric, r.n_expected, r.seed)
        if key not in latest or latest[key].time <= r.time:
            latest[key] = r
    return list(latest.values())


def table_order(record: Record) -> tuple[Any, ...]:
    """The key that sorts records as tables do: ground_truth first, systems by name, independent last."""
    return record.system != "ground_truth", record.system == "independent", record.system


def pivot(records: Sequence[Record], any_n: bool = False) -> Layout:
    """The table of one row per system and one column per metric.

    Args:
        records: In any order.
        any_n: As of `mmbench.tables.compare.comparable`.

    Raises:
        MMBenchError: A column would mix n, signatures, datasets or kinds of weights, or a system has several runs.
    """
    by_metric: dict[str, list[Record]] = {}
    for r in sorted(records, key=table_order):
        by_metric.setdefault(r.metric, []).append(r)
    labels: dict[str, dict[str, Any]] = {}
    cells: dict[str, dict[str, MetricCell]] = {}
    for metric, column in by_metric.items():
        comparable(column, any_n)
        for r in column:
            labels.setdefault(r.system, {"system": r.system, "dataset": r.dataset})
            if metric in cells.setdefault(r.system, {}):
                found = f"{r.system} has several runs with {metric} (seeds or spec differ)."
                raise MMBenchError(found, "one run per system", "mmbench table --seed K, or another --out")
            cells[r.system][metric] = make_cell([r], borrowed=is_borrowed(r, column))
    rows = [Row(labels[system], list(cells[system].values())) for system in labels]
    return Layout(rows, notes=note_borrowed(rows), first=FIRST, with_numbers=False)
