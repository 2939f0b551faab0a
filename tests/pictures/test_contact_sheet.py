"""The contact sheet: how large frames are on a page, and what stands at which time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmbench.pictures import contact_sheet as sheet
from mmbench.pictures.clip_images import MARK, WAVE
from mmbench.pictures.panels import Panel
from mmbench.pictures.sound_track import LANE, MEL, sound_track
from tests.pictures.drawn import events, panel

AXIS = sheet.WIDTH - sheet.LEFT - sheet.RIGHT


def widths_of_frames(strip: np.ndarray) -> list[int]:
    """Widths of the runs of one grey in the first row of a strip, gaps left out [px of the page]."""
    levels = strip[0, :, 0].astype(int)
    edges = [0, *(np.flatnonzero(np.diff(levels)) + 1), len(levels)]
    shown = [end - start for start, end in pairwise(edges) if levels[start] != sheet.VOID[0]]
    return [width / sheet.DENSITY for width in shown]


@pytest.mark.parametrize("seconds", [2.0, 4.0, 5.0, 10.0])
@pytest.mark.parametrize("fps", [4, 8, 10, 25])
@pytest.mark.parametrize("size", [(32, 32), (36, 64), (64, 36)])
def test_frames_are_at_least_64_pixels_on_a_page(seconds: float, fps: int, size: tuple[int, int]) -> None:
    shown = panel(seconds=seconds, frames=round(seconds * fps), size=size)
    strip = sheet.frame_strip(shown, sheet.time_scale([shown]))
    assert len(strip) / sheet.DENSITY >= 64
    widths = widths_of_frames(strip)
    assert min(widths) >= 64
    assert sum(widths) <= AXIS + 1


@pytest.mark.parametrize("number", range(1, 7))
def test_every_system_has_a_row_of_the_same_width(number: int) -> None:
    rows = sheet.sheet_row("a ball", [panel(f"system {k}") for k in range(number)])
    one = sheet.sheet_row("a ball", [panel()])
    height = len(one) - (len(sheet.sheet_row("a ball", [panel(), panel()])) - len(one))
    assert rows.shape[1] == sheet.DENSITY * 850
    assert len(rows) == height + number * (len(one) - height)


def test_a_frame_stands_at_its_time() -> None:
    shown = panel(frames=16)
    scale = sheet.time_scale([shown])
    strip = sheet.frame_strip(shown, scale)
    assert (np.diff(strip[0, :, 0].astype(int)) >= 0).all(), "no line between frames"
    for k in range(8):  # every second frame, from its time on
        x = round(sheet.DENSITY * scale * (2 * k) / 8) + 4
        assert strip[0, x, 0] == 3 * 2 * k


def test_a_shorter_clip_ends_earlier_and_one_frame_is_shown_at_least() -> None:
    long, short, tiny = panel(seconds=10.0, frames=80), panel(seconds=5.0, frames=40), panel(seconds=0.2, frames=2)
    row = sheet.sheet_row("a ball", [long, short, tiny])
    first = sheet.DENSITY * sheet.TITLE + 4
    step = (len(row) - sheet.DENSITY * (sheet.TITLE + sheet.AXIS)) // 3
    middle, end = (sheet.DENSITY * (sheet.LEFT + x) for x in (AXIS / 2, AXIS))
    shown = [(row[first + k * step, int(x) - 8] != 255).any() for k in range(2) for x in (middle, end)]
    assert shown == [True, True, True, False]
    assert sheet.frame_strip(tiny, sheet.time_scale([long])).shape[1] == sheet.DENSITY * 64


def test_an_absent_sample_says_why() -> None:
    row = sheet.sheet_row("a ball", [panel(), Panel("b", reason="b.mp4 holds no video.")])
    other = sheet.sheet_row("a ball", [panel(), Panel("b", reason="no sample")])
    left = sheet.DENSITY * sheet.LEFT
    assert (row != other)[:, left:].any()
    assert not (row != other)[:, :left].any()
    assert (row[-100, left + 4] == sheet.VOID).all()


def test_marks_stand_at_their_times() -> None:
    """On an axis of 200 px per second, at twice the density of the page."""
    track = sound_track(panel(marks=events(heard=(0.5, 1.0), seen=((0.45, 0.6), (1.5, 1.6)), known=(1.8,))), 400, 2)
    assert track.shape == (2 * (LANE + MEL), 800, 3)
    lane = track[: 2 * LANE].astype(int)

    def columns(color: tuple[int, int, int], rows: slice) -> np.ndarray:
        return np.flatnonzero((np.abs(lane[rows] - color).max(axis=-1) < 40).any(axis=0))

    tips = columns(MARK, slice(2 * LANE - 5, 2 * LANE - 1))
    np.testing.assert_allclose([tips[tips < 300].mean(), tips[tips > 300].mean()], [200, 400], atol=1.5)
    bars = columns(WAVE, slice(2, 11))
    assert abs(bars.min() - 180) <= 2
    assert abs(bars.max() - 640) <= 2
    assert not ((bars > 242) & (bars < 598)).any()
    dark = np.flatnonzero((lane < 90).all(axis=-1).all(axis=0))
    np.testing.assert_allclose(dark.mean(), 720, atol=1.5)


def test_what_coincides_is_filled() -> None:
    track = sound_track(panel(marks=events(heard=(0.5, 1.0), seen=((0.45, 0.6), (1.5, 1.6)))), 400, 2).astype(int)
    triangles = [tuple(track[2 * 9, x]) for x in (200, 400)]
    assert np.abs(np.subtract(triangles[0], MARK)).max() < 20
    assert triangles[1] == (255, 255, 255)
    bars = [tuple(track[7, x]) for x in (212, 620)]
    assert np.abs(np.subtract(bars[0], WAVE)).max() < 20
    assert bars[1] == (255, 255, 255)


def test_the_legend_explains_what_is_marked_and_nothing_else() -> None:
    def width(*panels: Panel) -> int:
        return int(np.flatnonzero((sheet.sheet_header(panels) != 255).any(axis=(0, 2))).max())

    impacts = panel(marks=events(seen=((0.1, 0.2),)))
    peaks = replace(impacts, events=replace(events(), kind="peak of motion"))
    assert width(panel(marks=events(known=(0.1,)))) > width(impacts) > width(Panel("no clip"))
    assert width(impacts, peaks) > max(width(impacts), width(peaks))
    assert width(impacts, peaks, panel(marks=events(known=(0.1,)))) < sheet.DENSITY * sheet.WIDTH - 2, "nothing is cut"


def test_long_names_are_broken_and_lose_nothing() -> None:
    draw = ImageDraw.Draw(Image.new("RGB", (10, 10)))
    name = "tiny+mmdisco-res_frieren (num_inference_steps=20), random weights"
    lines = sheet.broken(name, draw, 13.0)
    assert len(lines) > 2
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert sheet.broken("ground_truth", draw, 13.0) == ["ground_truth"]


@pytest.mark.parametrize(
    ("duration", "step"), [(2.0, 0.5), (10.0, 2.0), (0.375, 0.1), (4.0, 1.0), (1.0, 0.2), (5.0, 1.0)]
)
def test_ticks_are_round_and_few(duration: float, step: float) -> None:
    assert sheet.tick_step(duration) == pytest.approx(step)


def test_the_same_clips_give_the_same_sheet() -> None:
    shown = [panel(marks=events(heard=(0.5,), seen=((0.4, 0.6),)))]
    np.testing.assert_array_equal(sheet.sheet_row("a ball", shown), sheet.sheet_row("a ball", shown))
