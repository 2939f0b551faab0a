"""One sample of one system, ready to be drawn: its clip, what happens in it, its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmbench.errors import MediaError
from mmbench.pictures.columns import Column
from mmbench.pictures.events import Events, find_events
from mmbench.pictures.truth import Look
from mmbench.types import Clip, Item


@dataclass(frozen=True)
class Panel:
    """A sample in a picture.

    Attributes:
        name: Of the system or the set of clips.
        clip: None where there is no sample.
        events: What is marked in it.
        scores: As text, by metric.
        reason: Why there is no clip.
    """

    name: str
    clip: Clip | None = None
    events: Events | None = None
    scores: Mapping[str, str] = field(default_factory=dict)
    reason: str = "no sample"

    @property
    def seconds(self) -> float:
        """Duration of the video [s]; 0 without a clip."""
        return 0.0 if self.clip is None else len(self.clip.video) / float(self.clip.fps)

    @property
    def sound(self) -> np.ndarray:
        """The sound over the video's duration, (S,) float32: longer sound is cut, shorter one ends in silence."""
        if self.clip is None:
            return np.zeros(0, np.float32)
        length = round(self.seconds * self.clip.sample_rate)
        return np.pad(self.clip.audio[:length], (0, max(0, length - len(self.clip.audio))))


def longest(panels: Sequence[Panel]) -> float:
    """Duration of the longest video [s]; 1 if there is none."""
    return max(panel.seconds for panel in panels) or 1.0


def load_panels(columns: Sequence[Column], row: Sequence[int | None], look: Look) -> list[Panel]:
    """A panel per column; a clip that cannot be read says why in its place, and its column counts it.

    Args:
        columns: Sets of samples.
        row: Index of each one's sample; None where it has none.
        look: What tells true times of events in clips of the row.
    """
    return [Panel(c.name) if i is None else _load(c, i, look) for c, i in zip(columns, row, strict=True)]


def _load(column: Column, index: int, look: Look) -> Panel:
    source = column.sources[index]
    if source is None:
        return Panel(column.name)
    try:
        clip = source.load()
    except MediaError as error:
        column.failures[index] = error.found
        return Panel(column.name, reason=error.found)
    run = column.run
    known = np.asarray(next(iter(look(clip).values()), ()))  # a real half has those of the real clip
    return Panel(column.name, clip, find_events(clip, run.dataset if run else "", known), column.scores(index))


def panel_of(item: Item, dataset: str) -> Panel:
    """A real clip of a dataset under its prompt."""
    return Panel(item.prompt.text, item.clip, find_events(item.clip, dataset, item.truth.get("impact_times")))
