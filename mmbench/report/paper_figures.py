"""The figures of the paper's page: pictures as they are, curves as geometry, samples of runs as contact sheets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.pages.axis import MARGIN, WIDTH, Axis, axis_of
from mmbench.pictures.columns import open_columns
from mmbench.pictures.contact_sheet import sheet_header, sheet_row
from mmbench.pictures.panels import load_panels
from mmbench.pictures.preview import png_bytes, sample_title
from mmbench.pictures.rows import pair_columns
from mmbench.pictures.truth import find_truth
from mmbench.tables.paper_notes import Entry

HEIGHT = 200.0  # of a curve's plane [user units]


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption."""

    caption: str
    png: bytes


@dataclass(frozen=True)
class Point:
    """A point of a curve: its place, the ends of its error bar, and what it says."""

    x: float
    y: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Curve:
    """One metric against an axis: its points, and what no training changes as a line across.

    Attributes:
        metric: Its name.
        across: Of the axis to the right.
        up: Of the axis upwards; its places are those of a wide axis, `height_of` turns them.
        points: In the order of the axis.
        base: Height of the line of the pair alone; None without.
    """

    metric: str
    across: Axis
    up: Axis
    points: tuple[Point, ...]
    base: float | None

    @property
    def line(self) -> str:
        """The points as those of a polyline."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)

    @property
    def heights(self) -> list[tuple[float, str]]:
        """Height and text of the ticks upwards."""
        return [(_turn(place), text) for place, text in self.up.ticks]


@dataclass(frozen=True)
class CurveSet:
    """The curves of one sweep.

    Attributes:
        caption: What was trained on what.
        axis: Name of the axis.
        curves: One for each metric.
        is_miniature: Whether it is another experiment than the paper's.
    """

    caption: str
    axis: str
    curves: tuple[Curve, ...]
    is_miniature: bool


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper.

    Attributes:
        number: Its number.
        entry: What reproduces it.
        pictures: Of ours; none where nothing is on record.
        curve_sets: The same, of a course of training.
        notes: What is missing, and why.
    """

    number: str
    entry: Entry
    pictures: Sequence[Picture] = ()
    curve_sets: Sequence[CurveSet] = ()
    notes: Sequence[str] = ()

    @property
    def title(self) -> str:
        """ "Figure 5: Scores in the course of training"."""
        return f"Figure {self.number}: {self.entry.figures[self.number]}"


def _turn(place: float) -> float:
    """The height of a place on a wide axis."""
    return round(HEIGHT - (place - MARGIN) / (WIDTH - 2 * MARGIN) * HEIGHT, 2)


def draw_curves(points: Sequence[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """The curves of a sweep, one for each metric.

    Args:
        points: With `x`, `metric`, `value` and `stderr`; those at x = 0 are the pair alone.
    """
    metrics = dict.fromkeys(str(p["metric"]) for p in points)
    known = [p for p in points if p["value"] is not None and math.isfinite(p["value"])]
    curves = (_draw(metric, [p for p in known if p["metric"] == metric]) for metric in metrics)
    return tuple(curve for curve in curves if curve.points)


def _draw(metric: str, points: Sequence[Mapping[str, Any]]) -> Curve:
    course = sorted((p for p in points if p["x"] > 0), key=lambda p: float(p["x"]))
    bases = [float(p["value"]) for p in points if p["x"] == 0]
    ends = [p["value"] + sign * (p["stderr"] or 0.0) for p in course for sign in (-1, 1)]
    across, up = axis_of([p["x"] for p in course], 0.0), axis_of([*ends, *bases])

    def height(value: float) -> float:
        return _turn(up.place(value))

    placed = []
    for p in course:
        error = p["stderr"] or 0.0
        text = f"{p['row']}: {p['value']:.4g}" + (f" ± {error:.2g}" if error else "")
        bar = height(p["value"] - error), height(p["value"] + error)
        placed.append(Point(across.place(p["x"]), height(p["value"]), *bar, text))
    return Curve(metric, across, up, tuple(placed), height(bases[0]) if bases else None)


def make_sheet(folders: Sequence[Path], first: int, num: int, out: Path) -> bytes | None:
    """A contact sheet of samples of runs, as PNG.

    Args:
        folders: Of runs of one dataset and seed.
        first: Index of the first row.
        num: Rows at most.
        out: Folder of runs.

    Returns:
        None where there is no such sample.
    """
    columns = open_columns(folders, out)
    rows = [row for row in pair_columns(columns, first + num)[0] if max(i for i in row if i is not None) >= first]
    if not rows:
        return None
    truth = find_truth(columns, rows)
    blocks: list[np.ndarray] = []
    for number, row in enumerate(rows):
        panels = load_panels(columns, row, truth.of_row(number))
        blocks += [sheet_header(panels)] if not blocks else []
        blocks.append(sheet_row(sample_title(columns, row)[1], panels))
    return png_bytes(np.concatenate(blocks))
