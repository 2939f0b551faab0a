"""Videos side by side: the grid, its cursor, who is heard when, and that the same clips give the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmbench.media.decode import decode
from mmbench.pictures import side_by_side as film
from mmbench.pictures.clip_images import MARK
from mmbench.pictures.panels import Panel
from mmbench.pictures.sound_track import LANE, MEL
from tests.pictures.drawn import events, panel

RED = np.array(MARK)


@pytest.mark.parametrize(
    ("number", "shape"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (6, (2, 3)), (8, (2, 4)), (9, (3, 3))]
)
def test_the_grid_is_even_and_has_room_for_all(number: int, shape: tuple[int, int]) -> None:
    grid = film.Grid("a ball", [panel()] * number, 200)
    assert (-(-number // grid.columns), grid.columns) == shape
    height, width = grid.picture(0.0).shape[:2]
    assert height % 2 == width % 2 == 0
    assert abs(width - (8 + shape[1] * 208)) <= 1


def test_videos_play_in_step_and_the_shorter_one_waits() -> None:
    long, short = panel(seconds=2.0, frames=16), panel(seconds=1.0, frames=4)
    grid = film.Grid("", [long, short], 200)
    (x0, y0), (x1, y1) = grid._place(0), grid._place(1)
    for time, levels in ((0.0, (0, 0)), (0.49, (9, 3)), (0.5, (12, 6)), (1.9, (45, 9))):
        picture = grid.picture(time)
        assert (picture[y0 + 50, x0 + 50, 0], picture[y1 + 50, x1 + 50, 0]) == levels


def test_the_cursor_moves_with_time_and_stops_with_the_clip() -> None:
    grid = film.Grid("", [panel(seconds=2.0), panel(seconds=1.0)], 200)
    lowest = film.TITLE + film.NAME + grid.tall + LANE + MEL - 2

    def cursors(time: float) -> list[int]:
        return np.flatnonzero((grid.picture(time)[lowest, 8:208] == 255).all(axis=-1)).tolist()

    assert [cursors(t) for t in (0.0, 0.5, 1.99)] == [[0, 1], [50, 51], [199]]
    second = grid.picture(1.5)[lowest, 216:416]
    np.testing.assert_array_equal(second, grid.ground[lowest, 216:416])


def test_the_edge_is_red_while_a_sound_begins() -> None:
    grid = film.Grid("", [panel(marks=events(heard=(0.5,)))], 200)
    x, y = grid._place(0)
    red = [bool((grid.picture(t)[y, x + 9] == RED).all()) for t in (0.49, 0.5, 0.6, 0.7)]
    assert red == [False, True, True, False]


def test_each_is_heard_in_turn_and_named_in_red(tmp_path: Path) -> None:
    loud = panel("loud", seconds=1.0, frames=8)
    quiet = panel("quiet", seconds=1.0, frames=8)
    assert loud.clip is not None
    assert quiet.clip is not None
    quiet = replace(quiet, clip=replace(quiet.clip, audio=quiet.clip.audio * np.float32(0.1)))
    silent = replace(loud, clip=replace(loud.clip, audio=np.empty(0, np.float32)))
    film.write_side_by_side("a ball", [loud, silent, quiet, Panel("gone")], tmp_path / "a.mp4")
    clip = decode(tmp_path / "a.mp4")
    assert len(clip.video) == 2 * film.FILM_RATE, "as often as there is sound"
    level = [np.sqrt(np.mean(clip.audio[s : s + 8000] ** 2)) for s in (4000, 20000)]
    assert level[0] == pytest.approx(10 * level[1], rel=0.1)
    height = film.TITLE + film.NAME - 27

    def reddest(frame: np.ndarray) -> int:
        names = frame[height - 8 : height + 8].astype(int)
        return int((names[..., 0] - names[..., 1]).sum(axis=0).argmax()) // (film.FILM_PANEL + film.GAP)

    assert [reddest(frame) for frame in clip.video[[10, 34]]] == [0, 2]


def test_a_film_without_any_sound_plays_once(tmp_path: Path) -> None:
    mute = panel(seconds=1.0, frames=8)
    assert mute.clip is not None
    film.write_side_by_side(
        "", [replace(mute, clip=replace(mute.clip, audio=np.empty(0, np.float32)))], tmp_path / "a.mp4"
    )
    clip = decode(tmp_path / "a.mp4")
    assert len(clip.video) == film.FILM_RATE
    assert not len(clip.audio)


def test_the_gif_loops_and_lasts_as_long_as_the_clips(tmp_path: Path) -> None:
    film.write_gif("a ball", [panel(seconds=2.0), panel(seconds=1.0)], tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0
        total = 0
        for k in range(image.n_frames):
            image.seek(k)
            total += image.info["duration"]
    assert total == 2000


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        film.write_side_by_side("a ball", [panel(), panel()], tmp_path / f"{name}.mp4")
        film.write_gif("a ball", [panel(), panel()], tmp_path / f"{name}.gif")
    for suffix in (".mp4", ".gif"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
