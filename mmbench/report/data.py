"""What a report's page holds, as plain data: numbers for tables and plots, values per sample for its browser."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mmbench.console import jsonable
from mmbench.report.again import repeat
from mmbench.report.drawings import draw_forest, draw_histogram
from mmbench.report.material import Material
from mmbench.report.planes import draw_cost, draw_limits
from mmbench.scores.records import Record
from mmbench.tables.borrowed import CONTROLS, note_borrowed
from mmbench.tables.compare import Cell, list_caveats
from mmbench.tables.format import count_text, interval_text, record_row, signed, with_error
from mmbench.tables.marks import explain_marks, mark_of, note_shuffled, short_names
from mmbench.tables.verdicts import conclude, tell
from mmbench.types import is_untrained

DIGITS = 5  # of values per sample


def describe(material: Material) -> dict[str, Any]:
    """Everything that the template shows: systems, metrics with their numbers and plots, verdicts, notes."""
    cells = [cell for column in material.cells.values() for cell in column]
    records = [cell.record for cell in cells]
    short = short_names(material.cells)
    metrics = [_metric(material, metric, short[metric]) for metric in material.cells]
    marks = [mark_of(cell, [r for r in records if r.metric == cell.record.metric]) for cell in cells]
    runs = [c.run for c in material.columns if c.run is not None]
    borrowed = {cell.record.system: cell.same_as for cell in cells if cell.same_as}
    return {
        "title": " · ".join(material.names),
        "systems": [_system(material, k, records) for k in range(len(material.names))],
        "datasets": list(dict.fromkeys(run.dataset for run in runs)),
        "seeds": list(dict.fromkeys(run.seed for run in runs)),
        "made": max((r.time for r in records), default=""),
        "notice": material.notice,
        "metrics": metrics,
        "untimed": _list_untimed(material) if any(m["cost"] for m in metrics) else [],
        "verdicts": [*conclude(material.cells.values()), *tell(material.cells, short)],
        "truth": material.truth.name,
        "notes": [
            *explain_marks(cells, marks),
            *note_borrowed(borrowed),
            *note_shuffled(records),
            *list_caveats(records),
            *material.notes,
        ],
    }


def _system(material: Material, k: int, records: Sequence[Record]) -> dict[str, Any]:
    name, column = material.names[k], material.columns[k]
    mine = [r for r in records if r.system == name]
    weights = column.run.weights if column.run and not column.is_submission else ""
    untrained = is_untrained(weights)
    told = ["clips"] if column.is_submission else [f"{weights} weights"] * (weights != "none" and not untrained)
    counts = "; ".join(dict.fromkeys(f"n = {count_text(r)}" for r in mine))
    return {
        "name": name,
        "told": ", ".join(filter(None, [counts, *told])),
        "warnings": [f"{weights} weights"] * untrained + ["lossy clips"] * any(r.lossy for r in mine),
        "score": material.unscored.get(name, ""),
    }


def _list_untimed(material: Material) -> list[str]:
    """Systems that no plot against seconds shows, for none are on record."""
    known = {cell.record.system for column in material.cells.values() for cell in column}
    return [name for name in material.names if name in known - set(CONTROLS) - set(material.seconds)]


def _metric(material: Material, metric: str, short: str) -> dict[str, Any]:
    column = material.cells[metric]
    records = [cell.record for cell in column]
    numbers: list[dict[str, Any] | None] = [None] * len(material.names)
    for cell in column:
        numbers[material.names.index(cell.record.system)] = _number(cell, records, material)
    first = records[0]
    values = material.scores.get(metric)
    chance = [next((r.baseline for r in records if r.system == name), None) for name in material.names]
    return {
        "name": metric,
        "short": short,
        "higher": first.higher_is_better,
        "networks": first.extractor_weights if is_untrained(first.extractor_weights) else "",
        "numbers": numbers,
        "forest": draw_forest(column, material.names),
        "histogram": None if values is None else draw_histogram(values, chance),
        "limits": draw_limits(column, material.names),
        "cost": draw_cost(column, material.names, material.seconds),
        "chance": chance,
    }


def _number(cell: Cell, column: Sequence[Record], material: Material) -> dict[str, Any]:
    r, d, wins = cell.record, cell.difference, cell.wins
    lasting, floor = (
        None if (x := r.details.get(name)) is None else with_error(x, r.details.get(f"{name}_stderr"))
        for name in ("infinity", "floor")
    )
    told = {
        **{k: v for k, v in record_row(asdict(r)).items() if v},
        "difference": d and f"{signed(d.value, d.stderr)} {interval_text(d.low, d.high, d.stderr, sign=True) or ''}",
        "compared with": cell.against or None,
        "p after Holm": None if cell.p_adjusted is None else f"{cell.p_adjusted:.3g}",
        "samples won": wins and f"{wins.share:.0%} [{wins.low:.0%}, {wins.high:.0%}] of {wins.n}",
        "n needed": cell.needs,
        "at infinite n": lasting,
        "floor": floor,
        "run": r.run_id,
        "again": repeat(r, material.folders[r.run_id]) or None,
    }
    text = with_error(r.value, r.stderr) or "-"
    return {
        "id": f"{r.metric}@{r.run_id}".replace(" ", "-"),
        "text": f"({text})" if cell.same_as else text,
        "mark": mark_of(cell, column),
        "value": r.value,
        "record": {k: str(v) for k, v in told.items() if v is not None},
    }


def samples_as_script(material: Material, events: Sequence[Sequence[Mapping[str, Any] | None]]) -> str:
    """The rows of the browser as a script that defines REPORT, which a page reads from a file as from a server."""
    rows = []
    for r, row in enumerate(material.rows):
        known = [c.samples[i] for c, i in zip(material.columns, row, strict=True) if i is not None]
        text = next((str(sample["text"]) for sample in known if sample.get("text")), "")
        rows.append({"id": str(known[0]["id"]), "text": text, "clips": events[r]})
    labels = {label: list(values)[: len(rows)] for label, values in material.labels.items()}
    short = short_names(material.cells)
    scores = {short[metric]: _rounded(values) for metric, values in material.scores.items()}
    higher = {short[metric]: column[0].record.higher_is_better for metric, column in material.cells.items()}
    data = {"systems": list(material.names), "rows": rows, "scores": scores, "higher": higher}
    data |= {"labels": labels, "truth": material.truth.name}
    return f"const REPORT = {json.dumps(jsonable(data), allow_nan=False)};\n"  # ASCII alone: no text ends the script


def _rounded(values: np.ndarray) -> list[list[float | None]]:
    return [[None if math.isnan(x) else float(f"{x:.{DIGITS}g}") for x in column] for column in values.T.tolist()]
