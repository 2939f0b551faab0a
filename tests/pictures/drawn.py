"""Clips and panels whose pictures can be read pixel by pixel."""

from __future__ import annotations

import numpy as np

from mmbench.pictures.events import Events
from mmbench.pictures.panels import Panel
from mmbench.types import Clip

RATE = 16000
NOTHING = np.empty(0)


def grey(seconds: float = 2.0, frames: int = 16, size: tuple[int, int] = (32, 32)) -> Clip:
    """Frames of one grey each, 3 levels apart, over a tone of 440 Hz."""
    video = np.zeros((frames, *size, 3), np.uint8) + (3 * np.arange(frames)).astype(np.uint8)[:, None, None, None]
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)
    return Clip(video, frames / seconds, tone.astype(np.float32), RATE)


def events(
    heard: tuple[float, ...] = (), seen: tuple[tuple[float, float], ...] = (), known: tuple[float, ...] = ()
) -> Events:
    """Events at these times [s]."""
    return Events(np.array(heard), np.array(seen).reshape(-1, 2), "impact", np.array(known))


def panel(
    name: str = "a",
    *,
    seconds: float = 2.0,
    frames: int = 16,
    size: tuple[int, int] = (32, 32),
    marks: Events | None = None,
) -> Panel:
    """A panel of a grey clip."""
    return Panel(name, grey(seconds, frames, size), marks or events())
