"""Geometry of a report's plots: numbers to places in a drawing; the templates draw them, with the numbers beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.tables.compare import Cell, is_significant

WIDTH = 520.0  # of a drawing's plane [user units]
MARGIN = 12.0
BINS = 24


@dataclass(frozen=True)
class Axis:
    """A linear axis: places of values between `start`, that of `low`, and `end`, and ticks at round numbers."""

    low: float
    high: float
    start: float = MARGIN
    end: float = WIDTH - MARGIN

    def place(self, value: float) -> float:
        """Where a value stands."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Place and text of about five ticks."""
        step = _round_step((self.high - self.low) / 5)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        digits = max(0, -math.floor(math.log10(step)))
        return [(self.place(k * step), f"{k * step:z.{digits}f}".replace("-", "−")) for k in range(first, last + 1)]


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= step * (1 - 1e-9))


def axis_of(
    values: Sequence[float], include: float | None = None, start: float = MARGIN, end: float = WIDTH - MARGIN
) -> Axis:
    """An axis from `start` to `end` that holds all finite values with a margin, and `include`."""
    known = [v for v in (*values, *([] if include is None else [include])) if math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    pad = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return Axis(low - pad, high + pad, start, end)


@dataclass(frozen=True)
class Whisker:
    """A paired difference in a forest plot: places of its ends and its value, and what it says."""

    system: int
    low: float
    high: float
    value: float
    sure: bool
    better: bool


@dataclass(frozen=True)
class Forest:
    """The paired differences of one metric, with the place of no difference."""

    axis: Axis
    zero: float
    whiskers: tuple[Whisker, ...]


def draw_forest(cells: Sequence[Cell], order: Sequence[str]) -> Forest | None:
    """The forest plot of one metric; None where nothing differs."""
    known = [c for c in cells if c.difference and c.difference.low is not None and c.difference.high is not None]
    if not known:
        return None
    ends = [x for c in known if c.difference for x in (c.difference.low or 0.0, c.difference.high or 0.0)]
    axis = axis_of(ends, 0.0)
    whiskers = []
    for c in known:
        d = c.difference
        assert d is not None
        assert d.low is not None
        assert d.high is not None
        low, high, value = (axis.place(x) for x in (d.low, d.high, d.value))
        better = (d.value > 0) == c.record.higher_is_better
        whiskers.append(Whisker(order.index(c.record.system), low, high, value, is_significant(c), better))
    return Forest(axis, axis.place(0.0), tuple(whiskers))


@dataclass(frozen=True)
class Histogram:
    """How values per sample lie: an outline per set, and where chance (shuffled pairs) is.

    Attributes:
        axis: Of the values.
        height: Of the plane.
        outlines: Per set the points of a step line; "" for one without values.
        counts: Per set the samples in each bin.
        edges: Of the bins.
        means: Per set the place of the mean; None without.
        chance: Per set the place of the shuffled baseline; None without.
    """

    axis: Axis
    height: float
    outlines: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    edges: tuple[float, ...]
    means: tuple[float | None, ...]
    chance: tuple[float | None, ...]


def draw_histogram(values: np.ndarray, chance: Sequence[float | None], height: float = 90.0) -> Histogram:
    """The distribution of (rows, sets) values per sample, as shares, so that sets of any n compare."""
    finite = values[~np.isnan(values)]
    axis = axis_of(finite.tolist() + [c for c in chance if c is not None])
    edges = np.linspace(axis.low, axis.high, BINS + 1)
    columns = [column[~np.isnan(column)] for column in values.T]
    counts = [np.histogram(column, edges)[0] for column in columns]
    top = max((count.max() / max(count.sum(), 1) for count in counts), default=1.0) or 1.0
    outlines = []
    for count in counts:
        heights = height * (1 - 0.95 * count / max(count.sum(), 1) / top)
        corners = [(axis.place(e), h) for k, h in enumerate(heights) for e in edges[k : k + 2]]
        outlines.append(" ".join(f"{x},{y:.1f}" for x, y in corners) if count.sum() else "")
    means = tuple(axis.place(float(column.mean())) if len(column) else None for column in columns)
    places = tuple(None if c is None else axis.place(c) for c in chance)
    told = tuple(tuple(int(x) for x in count) for count in counts)
    return Histogram(axis, height, tuple(outlines), told, tuple(edges.round(4).tolist()), means, places)
