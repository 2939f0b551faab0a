"""A clip's events over its spectrogram, on the time axis of the frames above them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmbench.pictures.clip_images import INK, MARK, PAPER, WAVE, Color, scaled, spectrogram_image
from mmbench.pictures.events import Events
from mmbench.pictures.panels import Panel

LANE, MEL = 15, 44  # heights of the marks and of the spectrogram [px]
SMOOTH = 4  # marks are drawn so much larger, then reduced


def sound_track(panel: Panel, scale: float, density: int = 1) -> np.ndarray:
    """Marks over the spectrogram of a panel that has a clip: (density (LANE + MEL), w, 3) uint8.

    A blue bar spans the time in which something is seen to happen, a red triangle points at the time at which a sound
    begins; they are filled where they coincide. A dark line through the marks is a true impact.

    Args:
        panel: With a clip and events.
        scale: Width of a second [px of the result].
        density: Pixels of the result per unit of height.
    """
    width = max(1, round(panel.seconds * scale))
    if panel.clip is None or panel.events is None:
        raise ValueError(f"{panel.name} has no clip.")
    marks = event_lane(panel.events, width, scale, density)
    mel = spectrogram_image(panel.sound, panel.clip.sample_rate, MEL * density, width)
    return np.concatenate([marks, mel])


def event_lane(events: Events, width: int, scale: float, density: int = 1) -> np.ndarray:
    """The marks alone: (density LANE, width, 3) uint8."""
    from PIL import Image, ImageDraw

    unit = density * SMOOTH
    image = Image.new("RGB", (width * SMOOTH, LANE * unit), PAPER)
    draw = ImageDraw.Draw(image)
    for time in events.known:
        x = time * scale * SMOOTH
        draw.rectangle((x - unit / 2, 0, x + unit / 2, LANE * unit), fill=INK)
    for (start, end), filled in zip(events.seen, events.seen_in_time, strict=True):
        draw_bar(draw, start * scale * SMOOTH, end * scale * SMOOTH, unit, bool(filled))
    for time, filled in zip(events.heard, events.heard_in_time, strict=True):
        draw_triangle(draw, time * scale * SMOOTH, unit, bool(filled))
    return scaled(np.asarray(image), LANE * density, width)


def draw_bar(draw: Any, start: float, end: float, unit: float, filled: bool) -> None:
    """The interval of what is seen, `unit` being a pixel of a picture of density 1."""
    box = (start + 0.5 * unit, 1 * unit, max(end - 0.5 * unit, start + unit), 5.5 * unit)
    draw.rectangle(box, fill=WAVE if filled else PAPER, outline=WAVE, width=round(1.2 * unit))


def draw_triangle(draw: Any, x: float, unit: float, filled: bool) -> None:
    """The time of what is heard."""
    corners = ((x - 4.5 * unit, 6.5 * unit), (x + 4.5 * unit, 6.5 * unit), (x, LANE * unit))
    color: Color = MARK if filled else PAPER
    draw.polygon(corners, fill=color, outline=MARK, width=round(1.4 * unit))
