"""The standing table of a results folder: systems by metrics, each number with its error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.runs.find import run_folders
from mmbench.runs.store import read_manifest
from mmbench.scores.records import Record, read_records
from mmbench.tables.compare import comparable
from mmbench.tables.format import count_text, with_error
from mmbench.types import is_untrained


def gather(
    out: Path,
    *,
    dataset: str | None = None,
    systems: Sequence[str] = (),
    metrics: Sequence[str] = (),
    num_samples: int | None = None,
    seed: int | None = None,
) -> list[Record]:
    """Records under `out` that fit the filters, the latest per system and metric.

    Raises:
        MMBenchError: Nothing fits.
    """
    latest: dict[tuple[Any, ...], Record] = {}
    for folder in run_folders(out):
        read_manifest(folder)
        for r in read_records(folder):
            named = not metrics or r.metric in metrics or r.metric.partition(".")[0] in metrics
            wanted = dataset in (None, r.dataset) and (not systems or r.system in systems) and named
            if wanted and seed in (None, r.seed) and num_samples in (None, r.n_expected):
                key = (r.system, r.dataset, r.metric, r.n_expected, r.seed)
                if key not in latest or latest[key].time <= r.time:
                    latest[key] = r
    if not latest:
        raise MMBenchError(f"No record in {out} fits.", "runs that were evaluated", "mmbench run, or mmbench list runs")
    return list(latest.values())


NOTE = "(): the videos are another system's, and so is this number."


def value_text(record: Record, column: Sequence[Record]) -> str | None:
    """ "0.312 ± 0.021"; in parentheses where it is the number of the system in `column` whose videos the run shows."""
    text = with_error(record.value, record.stderr)
    shared = any(r.system == record.video_of and r.value == record.value for r in column)
    return f"({text})" if text and shared else text


def notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What a reader of the table must know."""
    return [NOTE] if any(str(cell).startswith("(") for row in rows for cell in row.values()) else []


def pivot(records: Sequence[Record]) -> tuple[list[dict[str, Any]], list[str]]:
    """One row per system, one column per metric; refuses to mix n, signatures, datasets or kinds of weights.

    Returns:
        Rows and the names of their columns.
    """
    by_metric: dict[str, list[Record]] = {}
    for r in sorted(records, key=lambda r: (r.system != "ground_truth", r.system == "independent", r.system)):
        by_metric.setdefault(r.metric, []).append(r)
    rows: dict[str, dict[str, Any]] = {}
    arrows = {}
    for metric, column in by_metric.items():
        comparable(column)
        arrows[metric] = metric + (" ↑" if column[0].higher_is_better else " ↓")
        for r in column:
            row = rows.setdefault(r.system, {"system": r.system, "dataset": r.dataset, "n": count_text(r)})
            if arrows[metric] in row:
                found = f"{r.system} has several runs with {metric} (seeds or spec differ)."
                raise MMBenchError(found, "one run per system", "mmbench table --seed K, or another --out")
            row[arrows[metric]] = value_text(r, column)
            if is_untrained(r.weights):
                row["weights"] = r.weights
            if is_untrained(r.extractor_weights):
                row["networks"] = r.extractor_weights
    extra = [c for c in ("weights", "networks") if any(c in row for row in rows.values())]
    return list(rows.values()), ["system", "dataset", "n", *extra, *arrows.values()]
