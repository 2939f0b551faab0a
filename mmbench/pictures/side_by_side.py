"""One sample of every system playing in step: a grid of videos, each over its marks and spectrogram with a cursor."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.files import write_whole
from mmbench.media.clip_files import AAC_RATES
from mmbench.media.film import write_film
from mmbench.media.resample import resample_audio
from mmbench.pictures.clip_images import INK, MARK, MUTED, PAPER, common_palette, scaled, write_text
from mmbench.pictures.panels import Panel, longest
from mmbench.pictures.sound_track import LANE, MEL, sound_track

FILM_RATE, GIF_RATE = 24, 12.5  # frames per second: the cursor moves smoothly, and a GIF counts hundredths of a second
FILM_PANEL, GIF_PANEL = 256, 200  # width of a panel [px]
MOST_COLUMNS = 4
TITLE, NAME, GAP, EDGE = 28, 36, 8, 3
FLASH = 0.12  # how long the edge of a video is red after a sound begins [s]
VOID = (238, 240, 243)


class Grid:
    """Panels in rows of at most four, drawn at any time of their clips.

    Args:
        title: Line above all.
        panels: At least one.
        width: Of a panel [px].
    """

    def __init__(self, title: str, panels: Sequence[Panel], width: int) -> None:
        self.panels, self.width = panels, width
        self.seconds = longest(panels)
        self.scale = width / self.seconds
        rows = math.ceil(len(panels) / MOST_COLUMNS)
        self.columns = math.ceil(len(panels) / rows)
        self.tall = max((self._height(panel) for panel in panels), default=width)
        self.pitch = NAME + self.tall + LANE + MEL + GAP
        size = GAP + self.columns * (width + GAP), TITLE + rows * self.pitch
        self.ground = self._draw_ground(title, size[0] + size[0] % 2, size[1] + size[1] % 2)
        self.shown: dict[int, tuple[int, Any]] = {}  # the last frame of each panel, which stays on for some pictures

    def _height(self, panel: Panel) -> int:
        shape = (1, 1) if panel.clip is None else panel.clip.video.shape[1:3]
        return min(2 * self.width, round(self.width * shape[0] / shape[1]))

    def _place(self, number: int) -> tuple[int, int]:
        """Left edge of a panel, and the top of its video."""
        row, column = divmod(number, self.columns)
        return GAP + column * (self.width + GAP), TITLE + row * self.pitch + NAME

    def _draw_ground(self, title: str, width: int, height: int) -> np.ndarray:
        """All that stands still."""
        from PIL import Image, ImageDraw

        image = Image.new("RGB", (width, height), PAPER)
        draw = ImageDraw.Draw(image)
        write_text(draw, GAP, TITLE / 2, title, 15, INK, width - 2 * GAP, "lm")
        for number, panel in enumerate(self.panels):
            x, y = self._place(number)
            self._write_name(draw, number, INK)
            if panel.clip is None:
                draw.rectangle((x, y, x + self.width - 1, y + self.tall + LANE + MEL - 1), fill=VOID)
                middle = y + self.tall // 2
                write_text(draw, x + self.width / 2, middle, panel.reason, 12, MUTED, self.width - GAP, "mm")
                continue
            image.paste(Image.fromarray(sound_track(panel, self.scale)), (x, y + self.tall))
            if panel.events is not None:
                write_text(draw, x, y - 10, panel.events.describe(), 12, MUTED, self.width, "lm")
        return np.asarray(image)

    def _write_name(self, draw: Any, number: int, color: tuple[int, int, int]) -> None:
        x, y = self._place(number)
        write_text(draw, x, y - 27, self.panels[number].name, 14, color, self.width, "lm")

    def picture(self, time: float, heard: int | None = None) -> np.ndarray:
        """The grid at a time [s]: (h, w, 3) uint8.

        Args:
            time: From the start of the clips; videos that are over show their last frame.
            heard: Number of the panel whose sound is played: its name is red.
        """
        from PIL import Image, ImageDraw

        image = Image.fromarray(self.ground)
        draw = ImageDraw.Draw(image)
        for number, panel in enumerate(self.panels):
            if panel.clip is None:
                continue
            x, y = self._place(number)
            frame = min(math.floor(time * float(panel.clip.fps) + 1e-9), len(panel.clip.video) - 1)
            tall = self._height(panel)
            if self.shown.get(number, (-1, None))[0] != frame:
                self.shown[number] = frame, Image.fromarray(scaled(panel.clip.video[frame], tall, self.width))
            image.paste(self.shown[number][1], (x, y + self.tall - tall))
            since = np.empty(0) if panel.events is None else time - panel.events.heard
            if np.any((since >= 0) & (since < FLASH)):
                box = (x, y + self.tall - tall, x + self.width - 1, y + self.tall - 1)
                draw.rectangle(box, outline=MARK, width=EDGE)
            if time < panel.seconds:
                cursor, below = x + math.floor(time * self.scale), y + self.tall
                draw.rectangle((cursor, below, cursor + 1, below + LANE - 1), fill=INK)
                draw.rectangle((cursor, below + LANE, cursor + 1, below + LANE + MEL - 1), fill=PAPER)
            if number == heard:
                self._write_name(draw, number, MARK)
        return np.asarray(image)


def write_side_by_side(title: str, panels: Sequence[Panel], file: Path) -> None:
    """Write an MP4 of panels in step: once per panel that has sound, which is the one that is heard and named in red.

    Raises:
        MediaError: It cannot be written.
    """
    grid = Grid(title, panels, FILM_PANEL)
    count = math.ceil(grid.seconds * FILM_RATE - 1e-6)
    turns: list[int | None] = [k for k, p in enumerate(panels) if p.clip is not None and len(p.clip.audio)]
    rate = _common_rate(panels)
    sounds = [_sound(panels[k], rate, round(count / FILM_RATE * rate)) for k in turns if k is not None]

    def frames() -> Iterator[np.ndarray]:
        for heard in turns or [None]:
            for number in range(count):
                yield grid.picture(number / FILM_RATE, heard)

    write_film(frames(), FILM_RATE, np.concatenate([np.zeros(0, np.float32), *sounds]), rate, file)


def _common_rate(panels: Sequence[Panel]) -> int:
    """The lowest sample rate that AAC has and that keeps the sounds of all panels [Hz]."""
    highest = max((p.clip.sample_rate for p in panels if p.clip is not None), default=AAC_RATES[0])
    return next((rate for rate in AAC_RATES if rate >= highest), AAC_RATES[-1])


def _sound(panel: Panel, rate: int, length: int) -> np.ndarray:
    if panel.clip is None:
        return np.zeros(length, np.float32)
    audio = resample_audio(panel.clip, rate).audio[: min(length, round(panel.seconds * rate))]
    return np.pad(audio, (0, length - len(audio)))


def write_gif(title: str, panels: Sequence[Panel], file: Path) -> None:
    """Write a GIF of panels in step, without end and without sound: the edge of a video is red when a sound begins."""
    from PIL import Image

    grid = Grid(title, panels, GIF_PANEL)
    frames = [grid.picture(k / GIF_RATE) for k in range(math.ceil(grid.seconds * GIF_RATE - 1e-6))]
    # one palette for all frames, so that what stands still stays still
    palette = common_palette(np.concatenate(frames[:: max(1, len(frames) // 8)]))
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "gif", save_all=True, append_images=images[1:], duration=round(1000 / GIF_RATE), loop=0, optimize=True
    )
    write_whole(file, buffer.getvalue())
