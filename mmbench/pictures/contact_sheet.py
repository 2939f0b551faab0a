"""A contact sheet: a block per sample, a row per system, frames over marks and a spectrogram on one time axis.

A sheet is laid out for the width at which a page shows it, 850 px, and drawn at twice that, for sharp screens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmbench.pictures.clip_images import INK, MUTED, PAPER, scaled, write_text
from mmbench.pictures.events import Events
from mmbench.pictures.panels import Panel, longest
from mmbench.pictures.sound_track import LANE, MEL, event_lane, sound_track

DENSITY = 2  # pixels of the file per pixel of the page; everything below is in those of the page
WIDTH, LEFT, RIGHT = 850, 160, 12  # of the sheet, and where the time axis begins and how far from the edge it ends
LEAST_FRAME, MOST_FRAME = 64, 112  # shorter side of a frame at least, height of one that is no taller than wide at most
TITLE, AXIS, GAP, LEGEND = 30, 18, 10, 34
VOID = (238, 240, 243)
BREAK = re.compile(r"(?<=[+_\- ,])")  # names may be broken behind these


def time_scale(panels: Sequence[Panel]) -> float:
    """Width of a second on the page [px]: the longest video fills the axis."""
    return (WIDTH - LEFT - RIGHT) / longest(panels)


def frame_cells(num_frames: int, width: float, shape: tuple[int, int]) -> list[int]:
    """Which frames are shown, each in an equal share of a strip `width` wide.

    Args:
        num_frames: Of the clip.
        width: Of the strip on the page [px].
        shape: Height and width of a frame [px of the clip].
    """
    least = LEAST_FRAME * max(1.0, shape[1] / shape[0])
    step = math.ceil(num_frames * least / width - 1e-9)  # every so many frames
    count = max(1, num_frames // max(1, step))
    return [k * num_frames // count for k in range(count)]


def frame_strip(panel: Panel, scale: float) -> np.ndarray:
    """Frames of a panel that has a clip, each from the time on at which it is on screen: (h, w, 3) uint8.

    Args:
        panel: With a clip.
        scale: Width of a second on the page [px].
    """
    if panel.clip is None:
        raise ValueError(f"{panel.name} has no clip.")
    num_frames, height, width = panel.clip.video.shape[:3]
    cells = frame_cells(num_frames, panel.seconds * scale, (height, width))
    pitch = max(panel.seconds * scale / len(cells), LEAST_FRAME * max(1.0, width / height))
    tall = min(max(MOST_FRAME, LEAST_FRAME * height / width), pitch * height / width)
    edges = [round(DENSITY * pitch * k) for k in range(len(cells) + 1)]
    strip = np.full((round(DENSITY * tall), edges[-1], 3), VOID, np.uint8)
    for start, end, index in zip(edges, edges[1:], cells, strict=False):
        wide = min(end - start, math.ceil(len(strip) * width / height))
        strip[:, start : start + wide] = scaled(panel.clip.video[index], len(strip), wide)
    return strip


def sheet_header(panels: Sequence[Panel]) -> np.ndarray:
    """The legend, for what is marked in these panels: (h, w, 3) uint8."""
    image, draw = _canvas(LEGEND)
    events = [panel.events for panel in panels if panel.events is not None]
    seen = sorted({e.kind for e in events})
    words = {"impact": "impact seen: dust rises", "peak of motion": "motion peaks, ± 1 frame"}
    x = float(GAP)
    nothing, then, bar = np.empty(0), np.array([7.0]), np.array([[0.0, 14.0]])
    signs = [(Events(nothing, bar, kind, nothing), words[kind]) for kind in seen]
    signs += [(Events(then, bar, "", nothing), "sound begins then")]
    signs += [(Events(then, np.empty((0, 2)), "", nothing), "sound begins at another time")]
    for marks, text in signs:
        _paste(image, event_lane(marks, 14 * DENSITY, DENSITY, DENSITY), x, 9)
        x = _say(draw, x + 18, text)
    if any(len(e.known) for e in events):
        marks = Events(np.empty(0), np.empty((0, 2)), "", np.array([2.0]))
        _paste(image, event_lane(marks, 4 * DENSITY, DENSITY, DENSITY), x, 9)
        x = _say(draw, x + 8, "true impact")
    return np.asarray(image)


def sheet_row(title: str, panels: Sequence[Panel]) -> np.ndarray:
    """One sample of every system, under each other, on one time axis as long as the longest video.

    Args:
        title: Line above the block: the prompt.
        panels: One per system, with or without a clip.

    Returns:
        (h, 1700, 3) uint8.
    """
    scale = time_scale(panels)
    rows = [_panel_row(panel, scale) for panel in panels]
    image, draw = _canvas(TITLE + sum(len(row) // DENSITY + GAP for row in rows) - GAP + AXIS + GAP)
    _line(draw, GAP, TITLE / 2, title, 15, INK, WIDTH - 2 * GAP, "lm")
    top = float(TITLE)
    for row in rows:
        _paste(image, row, 0, top)
        top += len(row) // DENSITY + GAP
    _axis(draw, top - GAP, longest(panels))
    return np.asarray(image)


def _panel_row(panel: Panel, scale: float) -> np.ndarray:
    wide = WIDTH - LEFT - RIGHT
    if panel.clip is None:
        image, draw = _canvas(LEAST_FRAME)
        _box(draw, LEFT, 0, wide, LEAST_FRAME)
        _line(draw, LEFT + wide / 2, LEAST_FRAME / 2, panel.reason, 12, MUTED, wide - GAP, "mm")
        _label(draw, panel, LEAST_FRAME)
        return np.asarray(image)
    strip = frame_strip(panel, scale)
    tall = len(strip) // DENSITY
    image, draw = _canvas(tall + LANE + MEL)
    _paste(image, strip[:, : DENSITY * wide], LEFT, 0)
    _paste(image, sound_track(panel, DENSITY * scale, DENSITY)[:, : DENSITY * wide], LEFT, tall)
    _label(draw, panel, tall + LANE + MEL)
    return np.asarray(image)


def _label(draw: Any, panel: Panel, height: int) -> None:
    """What stands left of a row: the name, what coincides, the scores, as many as there is room for."""
    lines = [(part, 13.0, INK) for part in broken(panel.name, draw, 13.0)]
    if panel.events is not None:
        lines.append((panel.events.describe(), 11.0, INK))
    lines += [(f"{metric} {value}", 11.0, MUTED) for metric, value in panel.scores.items()]
    top = 0.0
    for text, size, color in lines[: int(height // 16)]:
        _line(draw, GAP, top, text, size, color, LEFT - GAP - 4, "la")
        top += size + 4


def broken(name: str, draw: Any, size: float) -> list[str]:
    """A name in lines that fit beside the frames, broken behind signs and spaces."""
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    lines = [""]
    for part in BREAK.split(name):
        if lines[-1] and draw.textlength(lines[-1] + part, font) > LEFT - GAP - 4:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines]


def _axis(draw: Any, top: float, duration: float) -> None:
    """Ticks and their times [s] under a block."""
    wide = WIDTH - LEFT - RIGHT
    step = tick_step(duration)
    for k in range(math.floor(duration / step + 1e-9) + 1):
        x = LEFT + k * step / duration * wide
        draw.line([DENSITY * v for v in (x, top + 1, x, top + 4)], fill=MUTED, width=DENSITY)
        _line(draw, x, top + 5, f"{k * step:g}" + (" s" if k == 0 else ""), 11, MUTED, wide, "ma" if k else "la")


def tick_step(duration: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten [s] that gives at most five ticks."""
    power = 10.0 ** math.floor(math.log10(duration / 5))
    return next(m * power for m in (1, 2, 5, 10) if m * power * 5 >= duration * (1 - 1e-9))


def _canvas(height: int) -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (DENSITY * WIDTH, DENSITY * height), PAPER)
    return image, ImageDraw.Draw(image)


def _paste(image: Any, pixels: np.ndarray, x: float, y: float) -> None:
    from PIL import Image

    image.paste(Image.fromarray(np.ascontiguousarray(pixels)), (round(DENSITY * x), round(DENSITY * y)))


def _box(draw: Any, x: float, y: float, width: float, height: float) -> None:
    draw.rectangle([DENSITY * v for v in (x, y, x + width, y + height)], fill=VOID)


def _line(draw: Any, x: float, y: float, text: str, size: float, color: tuple[int, ...], width: float, at: str) -> None:
    write_text(draw, DENSITY * x, DENSITY * y, text, DENSITY * size, color, DENSITY * width, at)  # type: ignore[arg-type]


def _say(draw: Any, x: float, text: str) -> float:
    """Write a word of the legend; returns where the next may begin."""
    from PIL import ImageFont

    _line(draw, x, 16, text, 12, MUTED, WIDTH, "lm")
    return x + float(draw.textlength(text, ImageFont.load_default(DENSITY * 12))) / DENSITY + 16
