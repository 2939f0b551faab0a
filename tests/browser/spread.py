"""How far apart the clips of a row are while they play."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

MOST = 0.040  # seconds that clips may be apart, in 95 of 100 frames
FEW = 25  # frames a second: with fewer the page itself is starved
CROWD = 2.0  # processes for each processor, from which sound and pictures come late

# Within each frame that is painted: how far the last clip is behind the first; a shorter one may rest at its end.
WATCH = """([number, seconds]) => new Promise((done) => {
  const videos = [...document.querySelectorAll(".row")[number].querySelectorAll("video")], found = [];
  const end = performance.now() + 1000 * seconds;
  const look = () => {
    const times = videos.map((v) => v.currentTime), first = Math.max(...times);
    found.push([Math.max(...videos.map((v, i) => Math.min(first, v.duration) - times[i])),
      videos.filter((v) => !v.muted).length, first]);
    if (performance.now() < end) requestAnimationFrame(look); else done(found);
  };
  requestAnimationFrame(look);
})"""


@dataclass(frozen=True)
class Spread:
    """The distance from the first to the last clip of a row, over all frames watched [s].

    Attributes:
        p50, p95, largest: Its percentiles.
        frames: How many were watched.
        rate: Of frames [1/s]; a machine whose processors are taken paints few, and corrects as seldom.
        heard: The numbers of clips with sound that were seen.
        rounds: How often the row began again.
        load: The machine's, of the last minute.
    """

    p50: float
    p95: float
    largest: float
    frames: int
    rate: float
    heard: frozenset[int]
    rounds: int
    load: float


def watch(page: Any, row: int, seconds: float) -> Spread:
    """Watch a row of a page that plays."""
    found = page.evaluate(WATCH, [row, seconds])
    spreads, times = sorted(entry[0] for entry in found), [entry[2] for entry in found]
    again = sum(later < before - 0.5 for before, later in pairwise(times))
    n = len(spreads)
    return Spread(
        *(spreads[n // 2], spreads[int(0.95 * n)], spreads[-1]),
        *(n, n / seconds, frozenset(entry[1] for entry in found), again, os.getloadavg()[0]),
    )


def require_step(spread: Spread) -> None:
    """Hold the clips of a row to 40 ms; skip, with what was measured, where the machine is too busy to tell."""
    busy = spread.rate < FEW or spread.load > CROWD * (os.cpu_count() or 1)
    if spread.p95 > MOST and busy:
        pytest.skip(f"the machine is too busy to play: {spread}")
    assert spread.p95 <= MOST, spread
