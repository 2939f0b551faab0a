"""What a sample of each system took, beside its scores: quality against compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmbench.files import read_lines
from mmbench.runs.store import RESOURCES
from mmbench.tables.layout import Layout, Row
from mmbench.tables.packed import read_packed

COLUMNS = {"seconds": "s / sample", "cpu_seconds": "CPU s / sample"}
NOTE = (
    "s / sample: seconds of the processes that made the samples, loading included, by samples; CPU s: of all their "
    "threads. Compare runs of one machine alone."
)


def add_compute(layout: Layout, places: Mapping[str, Path]) -> Layout:
    """A score table with the seconds that a sample took, in columns before the metrics; empty where none are on record.

    Args:
        layout: The table; a row is one run.
        places: The folder of each run, or its packed file, by run id.
    """
    rows = [replace(row, labels={**row.labels, **_seconds_of(row, places)}) for row in layout.table]
    return replace(layout, table=rows, first=(*layout.first, *COLUMNS.values()), notes=(*layout.notes, NOTE))


def _seconds_of(row: Row, places: Mapping[str, Path]) -> dict[str, float]:
    run_id = row.cells[0].records[0].run_id
    lines = read_resources(places[run_id], run_id)
    spent = {column: seconds_per_sample(lines, key) for key, column in COLUMNS.items()}
    return {column: round(value, 3) for column, value in spent.items() if value is not None}


def read_resources(place: Path, run_id: str) -> list[dict[str, Any]]:
    """What the processes that made a run's samples took, a mapping each; [] where none is on record.

    Args:
        place: The run's folder, or a packed file.
        run_id: Which of the runs in a packed file.
    """
    if place.is_file():
        runs = [run for run in read_packed(place).runs if run.name == run_id]
        return [dict(line) for run in runs for line in run.files.get(RESOURCES, [])]
    return read_lines(place / RESOURCES)


def seconds_per_sample(lines: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Mean seconds per sample over processes; None if one of them did not measure them, or there is no sample."""
    samples = sum(line["samples"] for line in lines)
    return sum(line[key] for line in lines) / samples if samples and all(key in line for line in lines) else None
