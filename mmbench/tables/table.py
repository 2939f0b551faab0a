"""The standing table of a results folder: systems by metrics, each number with its error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.scores.records import Record
from mmbench.tables.compare import Cell, adjust, comparable
from mmbench.tables.layout import Layout
from mmbench.tables.on_record import compare_on_record
from mmbench.tables.runs import find_records
from mmbench.tables.system_rows import lay_out_comparison


def gather(out: Path, none_is_fine: bool = False, **filters: Any) -> list[Record]:
    """The records in `out` that fit the filters, the latest per system and metric.

    Args:
        out: Folder of runs, or a packed file.
        none_is_fine: Give none where nothing fits; else `find_records` raises.
        **filters: Of `mmbench.tables.runs.find_records`.
    """
    latest: dict[tuple[Any, ...], Record] = {}
    for _, r in find_records(out, none_is_fine=none_is_fine, **filters):
        key = (r.system, r.dataset, r.metric, r.n_expected, r.seed)
        if key not in latest or latest[key].time <= r.time:
            latest[key] = r
    return list(latest.values())


def table_order(system: str) -> tuple[bool, bool, str]:
    """The key that sorts systems as tables do: ground_truth first, systems by name, independent last."""
    return system != "ground_truth", system == "independent", system


def pivot(records: Sequence[Record], places: Mapping[str, Path] | None = None, any_n: bool = False) -> Layout:
    """The table of one row per system and one column per metric.

    Args:
        records: One per system and metric.
        places: Where their runs are, by id, and so their differences: folders, or packed files.
        any_n: As of `mmbench.tables.compare.comparable`.

    Raises:
        MMBenchError: A column would mix n, signatures, datasets or kinds of weights, or a system has several runs.
    """
    by_metric: dict[str, list[Record]] = {}
    for r in sorted(records, key=lambda r: table_order(r.system)):
        by_metric.setdefault(r.metric, []).append(r)
    for metric, column in by_metric.items():
        comparable(column, any_n)
        if twice := [system for system, count in Counter(r.system for r in column).items() if count > 1]:
            found = f"{twice[0]} has several runs with {metric} (seeds or spec differ)."
            raise MMBenchError(found, "one run per system", "mmbench table --seed K, or another --out")
    columns = list(by_metric.values())
    cells = compare_on_record(columns, places) if places else [list(map(Cell, column)) for column in columns]
    return lay_out_comparison(adjust(cells))
