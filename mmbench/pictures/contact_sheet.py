"""One picture of several runs: a row per sample, a block per run, frames over a spectrogram on one time axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmbench.pictures.clip_images import INK, MUTED, PAPER, scaled, spectrogram_image
from mmbench.types import Clip

SHEET_WIDTH, WIDEST, NARROWEST = 2600, 1024, 512  # of the sheet if it can be, of a block [px]
LEAST_FRAME = 48  # frames are left out rather than shown narrower [px]
FRAME_HEIGHT, MEL_HEIGHT, AXIS_HEIGHT = 96, 64, 18  # most, of a spectrogram, of the time axis [px]
GAP, TITLE = 20, 28  # between blocks, and a line of text [px]
VOID = (238, 240, 243)


def block_width(num_runs: int) -> int:
    """Width of a run's block [px]: the fewer, the wider."""
    return min(WIDEST, max(NARROWEST, (SHEET_WIDTH - GAP) // num_runs - GAP))


def _canvas(height: int, num_runs: int) -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (GAP + num_runs * (block_width(num_runs) + GAP), height), PAPER)
    return image, ImageDraw.Draw(image)


def _write(draw: Any, x: int, y: int, text: str, size: int, color: tuple[int, int, int], width: int, at: str) -> None:
    """Text at (x, y) by its anchor `at`, its end left out where it is wider than `width`."""
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    if draw.textlength(text, font) > width:
        while text and draw.textlength(text + "…", font) > width:
            text = text[:-1]
        text += "…"
    draw.text((x, y), text, fill=color, font=font, anchor=at)


def sheet_header(names: Sequence[str]) -> np.ndarray:
    """The names of the runs, each over its block: (h, w, 3) uint8."""
    image, draw = _canvas(GAP + TITLE, len(names))
    width = block_width(len(names))
    for k, name in enumerate(names):
        _write(draw, GAP + k * (width + GAP), GAP + TITLE // 2, name, 22, INK, width, "lm")
    return np.asarray(image)


def sheet_row(title: str, clips: Sequence[Clip | None]) -> np.ndarray:
    """One sample of every run, on one time axis as long as the longest video.

    Args:
        title: Line above the row, the prompt.
        clips: A clip per run, of any format; None where a run lacks it.

    Returns:
        (h, w, 3) uint8, as wide as `sheet_header` of equally many runs.
    """
    shown = [clip for clip in clips if clip is not None]
    duration = max((seconds(clip) for clip in shown), default=1.0)
    width = block_width(len(clips))
    strips = [None if clip is None else frame_strip(clip, width / duration) for clip in clips]
    strip_height = max((len(strip) for strip in strips if strip is not None), default=FRAME_HEIGHT)
    image, draw = _canvas(TITLE + strip_height + MEL_HEIGHT + AXIS_HEIGHT + GAP, len(clips))
    _write(draw, GAP, TITLE // 2, title, 17, INK, image.width - 2 * GAP, "lm")
    below = TITLE + strip_height
    for k, (clip, strip) in enumerate(zip(clips, strips, strict=True)):
        left = GAP + k * (width + GAP)
        if clip is None or strip is None:
            draw.rectangle((left, TITLE, left + width - 1, below + MEL_HEIGHT - 1), fill=VOID)
            _write(draw, left + width // 2, (TITLE + below + MEL_HEIGHT) // 2, "no sample", 14, MUTED, width, "mm")
            continue
        _paste(image, strip[:, :width], left, TITLE)
        _paste(image, _sound(clip, width / duration)[:, :width], left, below)
        _axis(draw, left, below + MEL_HEIGHT, width, duration)
    return np.asarray(image)


def _paste(image: Any, pixels: np.ndarray, x: int, y: int) -> None:
    from PIL import Image

    image.paste(Image.fromarray(np.ascontiguousarray(pixels)), (x, y))


def seconds(clip: Clip) -> float:
    """Duration of the video [s]."""
    return len(clip.video) / float(clip.fps)


def frame_strip(clip: Clip, scale: float) -> np.ndarray:
    """Frames of a clip where they stand in time, as many as fit: (h, w, 3) uint8.

    Args:
        clip: With T frames; frame i begins at i / fps.
        scale: Width of a second [px].
    """
    num_frames, height, width = clip.video.shape[:3]
    pitch = scale / float(clip.fps)
    step = min(num_frames, max(1, math.ceil(LEAST_FRAME / pitch - 1e-9)))
    tall = max(1, min(FRAME_HEIGHT, round(pitch * step * height / width)))
    strip = np.full((tall, max(1, round(num_frames * pitch)), 3), VOID, np.uint8)
    for i in range(0, num_frames, step):
        start = round(i * pitch)
        wide = max(1, round((i + step) * pitch) - start)
        if tall == FRAME_HEIGHT:  # there is room to spare beside each frame
            wide = min(wide, math.ceil(tall * width / height))
        strip[:, start : start + wide] = scaled(clip.video[i], tall, wide)[:, : strip.shape[1] - start]
    return strip


def _sound(clip: Clip, scale: float) -> np.ndarray:
    """Spectrogram over the video's duration; longer sound is cut, shorter one ends in silence."""
    length = round(seconds(clip) * clip.sample_rate)
    audio = np.pad(clip.audio[:length], (0, max(0, length - len(clip.audio))))
    return spectrogram_image(audio, clip.sample_rate, MEL_HEIGHT, max(1, round(seconds(clip) * scale)))


def _axis(draw: Any, left: int, top: int, width: int, duration: float) -> None:
    """Ticks and their times [s] under a block."""
    step = tick_step(duration)
    for k in range(math.floor(duration / step + 1e-9) + 1):
        x = left + min(round(k * step / duration * width), width - 1)
        draw.line((x, top, x, top + 3), fill=MUTED)
        at = "lt" if k == 0 else "rt" if x > left + width - 16 else "mt"
        _write(draw, x, top + 5, f"{k * step:g}" + (" s" if k == 0 else ""), 12, MUTED, width, at)


def tick_step(duration: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten [s] that gives at most five ticks."""
    power = 10.0 ** math.floor(math.log10(duration / 5))
    return next(m * power for m in (1, 2, 5, 10) if m * power * 5 >= duration * (1 - 1e-9))
