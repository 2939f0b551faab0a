"""A sweep along an axis, such as Figure 5 of arXiv 2405.17842: its points as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.experiments.sweep.grids import GRIDS
from mmbench.experiments.sweep.table import SweepOnRecord, lay_out_sweep, open_sweep
from mmbench.files import write_whole

COLUMNS = ("row", "x", "metric", "value", "stderr", "trainings", "samplings", "difference", "difference_stderr")


def list_points(sweep: SweepOnRecord) -> list[dict[str, Any]]:
    """The points of a sweep's curve, one per row and metric: means over trainings or samplings, as rows of COLUMNS.

    `stderr` is of the mean over trainings or samplings where there are several; `difference_stderr`, of the difference
    to the pair alone, is over samples and trainings, or over samplings.
    """
    at = {outcome.row: outcome.x for outcome in sweep.log.outcomes.values() if outcome.x is not None}
    return [
        {"row": row.labels["row"], "x": at[row.labels["row"]], "metric": cell.metric}
        | {"value": cell.number.value, "stderr": cell.number.stderr}
        | {"trainings": row.labels["trainings"], "samplings": row.labels.get("samplings")}
        | {"difference": cell.difference and cell.difference.value}
        | {"difference_stderr": cell.difference and cell.difference.stderr}
        for row in lay_out_sweep(sweep).table
        for cell in row.cells
        if row.labels["row"] in at
    ]


def save_curve(file: Path) -> list[Path]:
    """Write the curve beside the sweep's file: CSV always, PNG where matplotlib is installed.

    Returns:
        What was written; nothing if there is no point yet.
    """
    sweep = open_sweep(file)
    found = list_points(sweep)
    if not found:
        return []
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    write_whole(file.with_suffix(".csv"), text.getvalue().encode())
    if find_spec("matplotlib") is None:
        log.warning("No picture of the curve without matplotlib: pip install 'mmbench[figures]'")
        return [file.with_suffix(".csv")]
    picture = io.BytesIO()
    _draw(found, GRIDS[sweep.log.request.table].axis, picture)
    write_whole(file.with_suffix(".png"), picture.getvalue())
    return [file.with_suffix(".csv"), file.with_suffix(".png")]


def _draw(found: list[dict[str, Any]], axis: str, into: io.BytesIO) -> None:
    """One panel per metric; what no training changes, at 0, is a line across.

    Bars are errors over trainings or samplings; the band is the error of the difference to the line.
    """
    from matplotlib.figure import Figure

    metrics = list(dict.fromkeys(point["metric"] for point in found))
    figure = Figure(figsize=(3.2 * len(metrics), 2.8), layout="constrained", dpi=100)
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        mine = sorted((p for p in found if p["metric"] == metric and p["value"] is not None), key=lambda p: p["x"])
        for point in (p for p in mine if p["x"] == 0):
            axes.axhline(point["value"], color="tab:gray", linestyle="--", linewidth=1, label=point["row"])
        curve = [p for p in mine if p["x"] > 0]
        errors = [p["stderr"] or 0.0 for p in curve]
        axes.errorbar([p["x"] for p in curve], [p["value"] for p in curve], errors, marker="o", markersize=3, capsize=2)
        if curve and all(p["difference_stderr"] is not None for p in curve):
            low, high = ([p["value"] + sign * p["difference_stderr"] for p in curve] for sign in (-1, 1))
            axes.fill_between([p["x"] for p in curve], low, high, alpha=0.2, linewidth=0)
        axes.set(xlabel=axis, title=metric)
        axes.legend(fontsize=8) if len(curve) < len(mine) else None
    figure.savefig(into, format="png")
