"""Plots with two axes: a distance against n with its value at infinite n, and quality against seconds per sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.pages.axis import WIDTH, Axis, axis_of
from mmbench.scores.records import Record
from mmbench.statistics.estimates import Z95
from mmbench.tables.borrowed import CONTROLS
from mmbench.tables.compare import Cell
from mmbench.tables.format import digits_of, with_error

LEFT, RIGHT, BOTTOM, TOP = 64.0, WIDTH - 30, 196.0, 10.0  # of the plane [user units]
LEAST = 0.8  # of an axis of powers of ten: so much always holds two ticks


@dataclass(frozen=True)
class Point:
    """A number of one system: its place, and those of the ends of its 95 % interval."""

    system: int
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A straight line of one system, from the left end to the right."""

    system: int
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Plane:
    """A plot with two axes and the numbers behind it.

    Attributes:
        across: Places and texts of the ticks of the lower axis.
        up: Those of the left axis.
        points: Numbers with intervals.
        lines: What runs through them.
        heads: What the columns of the table of its numbers are called, after the system's.
        rows: Of each system in it: its index, and its numbers as text.
    """

    across: list[tuple[float, str]]
    up: list[tuple[float, str]]
    points: tuple[Point, ...]
    lines: tuple[Line, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def draw_limits(cells: Sequence[Cell], order: Sequence[str]) -> Plane | None:
    """A distance against n, on an axis of 1 / n, with the line through its parts to its value at infinite n.

    Args:
        cells: Of one metric.
        order: The systems; a point's `system` is a place among them.

    Returns:
        The plot; None where no record has a value at infinite n.
    """
    known = [(order.index(c.record.system), c.record) for c in cells if c.record.details.get("infinity") is not None]
    parts = {k: _parts_of(r) for k, r in known if r.value is not None}
    if not any(parts.values()):
        return None
    counts = sorted({n for k in parts for n, _ in parts[k]}, reverse=True)
    across = Axis(0.0, 1 / counts[-1], LEFT, RIGHT)
    limits = {k: (r.details["infinity"], Z95 * (r.details.get("infinity_stderr") or 0.0)) for k, r in known}
    ends = [x for limit, margin in limits.values() for x in (limit - margin, limit + margin)]
    up = axis_of([*ends, *(v for k in parts for _, v in parts[k])], start=BOTTOM, end=TOP)
    points, lines, rows = [], [], []
    for k, r in known:
        limit, margin = limits[k]
        places = {1 / n: value for n, value in parts.get(k, ())}
        points += [Point(k, across.place(x), up.place(v), up.place(v), up.place(v)) for x, v in places.items()]
        points.append(Point(k, across.place(0.0), *(up.place(limit + sign * margin) for sign in (0, -1, 1))))
        x = np.array(list(places))
        slope = float(x @ (np.array(list(places.values())) - limit) / (x @ x))
        start, end = up.place(limit), up.place(limit + slope * across.high)
        lines.append(Line(k, across.place(0.0), start, across.place(across.high), end))
        by_n, digits = dict(parts.get(k, ())), digits_of(r.stderr)
        told = (f"{by_n[n]:.{digits}f}" if n in by_n else "" for n in counts)
        rows.append((k, (with_error(limit, r.details.get("infinity_stderr")) or "", *told)))
    ticks = [(across.place(0.0), "∞"), *((across.place(1 / n), f"n = {n}") for n in counts)]
    heads = ("infinite n", *(f"n = {n}" for n in counts))
    return Plane(_spread(ticks), up.ticks, tuple(points), tuple(lines), heads, tuple(rows))


def _parts_of(record: Record) -> list[tuple[int, float]]:
    """n and distance of the parts that the value at infinite n was fitted to; older records know that of all alone."""
    points = record.details.get("infinity_points") or [[record.n_scored, record.value]]
    return [(int(n), float(value)) for n, value in points]


def _spread(ticks: Sequence[tuple[float, str]], least: float = 44.0) -> list[tuple[float, str]]:
    """Those ticks, from the first on, whose texts do not touch."""
    kept: list[tuple[float, str]] = []
    for place, text in ticks:
        if not kept or abs(place - kept[-1][0]) >= least:
            kept.append((place, text))
    return kept


def draw_cost(cells: Sequence[Cell], order: Sequence[str], seconds: Mapping[str, float]) -> Plane | None:
    """Values against seconds per sample, on an axis of their logarithm; controls, which are real clips, as lines.

    Args:
        cells: Of one metric.
        order: The systems; a point's `system` is a place among them.
        seconds: Per sample, by system.

    Returns:
        The plot; None where no system of the metric has seconds.
    """
    valued = [c.record for c in cells if c.record.value is not None]
    timed = {r.system: math.log10(s) for r in valued if _is_timed(r) and (s := seconds.get(r.system, 0.0)) > 0}
    if not timed:
        return None
    controls = [r for r in valued if not _is_timed(r)]
    first, last = min(timed.values()), max(timed.values())
    spare = max(LEAST - (last - first), 0.2) / 2
    across = Axis(first - spare, last + spare, LEFT, RIGHT)
    shown = [r for r in valued if r.system in timed or r in controls]
    up = axis_of([x for r in shown for x in (r.value, r.low, r.high) if x is not None], start=BOTTOM, end=TOP)
    points, lines, rows = [], [], []
    for r in shown:
        k, value = order.index(r.system), r.value or 0.0
        low, high = (value if end is None else end for end in (r.low, r.high))
        if r.system in timed:
            points.append(Point(k, across.place(timed[r.system]), up.place(value), up.place(low), up.place(high)))
        else:
            lines.append(Line(k, across.start, up.place(value), across.end, up.place(value)))
        spent = f"{seconds[r.system]:.3g}" if r.system in timed else ""
        rows.append((k, (spent, with_error(r.value, r.stderr) or "")))
    heads = ("s / sample", "value")
    return Plane(_spread(_log_ticks(across)), up.ticks, tuple(points), tuple(lines), heads, tuple(rows))


def _is_timed(record: Record) -> bool:
    return record.system not in CONTROLS


def _log_ticks(axis: Axis) -> list[tuple[float, str]]:
    """Ticks at 1, 2 and 5 times powers of ten."""
    powers = range(math.floor(axis.low), math.ceil(axis.high) + 1)
    values = [(math.log10(m) + p, m * 10.0**p) for p in powers for m in (1, 2, 5)]
    return [(axis.place(x), f"{v:g} s") for x, v in values if axis.low <= x <= axis.high]
