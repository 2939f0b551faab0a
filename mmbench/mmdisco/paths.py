"""Which half of a pair moves next on a path of noise levels, and the whole walk of two grids that are known before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from mmbench.errors import UsageError
from mmbench.mmdisco.pairing import PATHS, Path


class Place(Protocol):
    """Where a half is on its grid.

    Attributes:
        number: Steps done, from 0.
        total: Steps of the grid; a half with so many done has ended.
        log_snr: Log signal-to-noise ratio of its level.
    """

    @property
    def number(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def log_snr(self) -> float: ...


class GridPlace(NamedTuple):
    """A place of a grid whose levels are known."""

    number: int
    total: int
    log_snr: float


def movers_of(path: Path) -> Callable[[Sequence[Place]], list[int]]:
    """The rule of a path: from the places of all halves, of which one has not ended, to the indices of those that move.

    Raises:
        UsageError: An unknown path.
    """
    if path not in MOVERS:
        raise UsageError(f"Unknown path {path!r}.", f"one of {', '.join(PATHS)}")
    return MOVERS[path]


def walk(path: Path, log_snrs: Sequence[Sequence[float]]) -> list[tuple[list[int], list[int]]]:
    """All evaluations of a path: how many steps each half has done, and the halves that move next.

    Args:
        path: Which half moves when.
        log_snrs: Of the level before each step, for each half.
    """
    movers, done = movers_of(path), [0] * len(log_snrs)
    found: list[tuple[list[int], list[int]]] = []
    while any(n < len(levels) for n, levels in zip(done, log_snrs, strict=True)):
        places = [
            GridPlace(n, len(levels), levels[n] if n < len(levels) else float("inf"))
            for n, levels in zip(done, log_snrs, strict=True)
        ]
        moving = movers(places)
        found.append((done, moving))
        done = [n + (i in moving) for i, n in enumerate(done)]
    return found


def _lagging(place: Callable[[Place], float]) -> Callable[[Sequence[Place]], list[int]]:
    """Of the halves that have not ended, those at the lowest place; both where they are level."""

    def movers(steps: Sequence[Place]) -> list[int]:
        places = {i: place(step) for i, step in enumerate(steps) if step.number < step.total}
        lowest = min(places.values())
        return [i for i, at in places.items() if at <= lowest + 1e-9]

    return movers


def _first(i: int) -> Callable[[Sequence[Place]], list[int]]:
    """One half until it has ended, then the other."""
    return lambda steps: [i if steps[i].number < steps[i].total else 1 - i]


MOVERS: dict[Path, Callable[[Sequence[Place]], list[int]]] = {
    "fraction": _lagging(lambda step: step.number / step.total),
    "log_snr": _lagging(lambda step: step.log_snr),
    "video_first": _first(0),
    "audio_first": _first(1),
}
