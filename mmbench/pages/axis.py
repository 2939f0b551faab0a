"""An axis of a drawing: numbers to places, and ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 520.0  # of a drawing's plane [user units]
MARGIN = 12.0


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
