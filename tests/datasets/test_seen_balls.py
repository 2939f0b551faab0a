"""Balls as pixels show them, beside the scenes that were filmed, and what is said of clips that show others."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mmbench.datasets.bounce import bounce
from mmbench.datasets.bounce_world.physics import positions, trajectory
from mmbench.datasets.bounce_world.render import sprite
from mmbench.datasets.bounce_world.scene import LANES
from mmbench.datasets.bounce_world.seen_balls import SeenBall, Shown, hidden, judge, seen_balls
from mmbench.datasets.bounce_world.stage import Projection
from mmbench.datasets.bounce_world.world import STANDARD
from mmbench.errors import MMBenchError
from mmbench.types import Item, Request
from tests.commands import load_script, mmbench_here, only_store

SEED = 31
YES = Shown(right=True, number=True, material=True, constant=True)


@cache
def real(material: str, num_balls: int) -> Item:
    """The first real clip of a material and a number of balls that never come near each other."""
    dataset = bounce()
    for prompt in dataset.prompts(1000, SEED):
        if (prompt.data["material"], prompt.data["num_balls"]) == (material, num_balls):
            item = dataset.real(Request(prompt, 0, SEED), "real")
            xy = centres(item)
            if num_balls == 1 or np.hypot(*(xy[0] - xy[1]).T).min() > 24:
                return item
    raise AssertionError(material)


def centres(item: Item) -> np.ndarray:
    """Where the balls are: (balls, frames, 2) [px], columns and rows."""
    to_pixels, balls = Projection(STANDARD, 64, 64), item.truth["balls"]
    paths = [positions(trajectory(ball, STANDARD, 2.0)[0], np.arange(16) / 8) for ball in balls]
    return np.array([np.stack(to_pixels(p, lane), 1) for p, lane in zip(paths, LANES[len(balls)], strict=True)])


def paint(video: np.ndarray, frames: slice, material: str, x: int, y: int) -> None:
    """Draw a still ball of 6 px into some frames."""
    centre = np.array([9.5], np.float32)
    patch = sprite(STANDARD.materials[material], 6.0, centre, centre, 19)[0]
    part = video[frames, y - 9 : y + 10, x - 9 : x + 10]
    part[:] = np.rint(255.0 * patch[..., :3] + (1.0 - patch[..., 3:]) * part)


def judged(item: Item, video: np.ndarray) -> Shown:
    return judge(seen_balls(video), item.prompt.data["material"], item.prompt.data["num_balls"])


def test_balls_are_found_where_they_are_and_as_large() -> None:
    item = real("plastic", 1)
    xy, radius = centres(item)[0], 16 * item.truth["balls"][0].radius
    high = xy[:, 1] + radius < 50  # wholly before the wall
    frames = seen_balls(item.clip.video)
    assert [len(balls) for balls in frames] == [1] * 16
    assert high.sum() >= 4
    found = np.array([(balls[0].x + 0.5, balls[0].y + 0.5) for balls in frames])
    assert np.abs(found - xy)[high].max() < 1.5
    assert np.abs(np.array([balls[0].radius for balls in frames]) - radius)[high].max() < 1.5


@pytest.mark.parametrize("material", sorted(STANDARD.materials))
def test_a_real_clip_shows_what_its_prompt_asks_for(material: str) -> None:
    item = real(material, 1)
    assert judged(item, item.clip.video) == YES
    assert not judge(seen_balls(item.clip.video), material, 2).number


def test_two_balls_that_pass_each_other_are_two() -> None:
    dataset = bounce()
    items = [dataset.real(Request(p, 0, SEED), "real") for p in dataset.prompts(24, SEED) if p.data["num_balls"] == 2]
    assert len(items) >= 5
    assert sum(judged(item, item.clip.video).right for item in items) >= len(items) - 1


def test_a_third_ball_is_counted_and_named() -> None:
    item = real("wood", 2)
    video = item.clip.video.copy()
    paint(video, slice(None), "rubber", 32, 10)
    assert all(len(balls) == 3 and {b.material for b in balls} == {"wood", "rubber"} for balls in seen_balls(video))
    assert judged(item, video) == Shown(right=False, number=False, material=False, constant=True)


def test_a_ball_of_another_colour_is_not_the_prompts() -> None:
    item = real("wood", 1)
    assert judge(seen_balls(item.clip.video), "rubber", 1) == Shown(
        right=False, number=True, material=False, constant=True
    )


def test_a_ball_that_vanishes_for_two_frames_or_joins_for_two_is_not_constant() -> None:
    item = real("wood", 2)
    gone, joined = item.clip.video.copy(), item.clip.video.copy()
    frames = slice(2, 4)
    gone[frames, :51, 3:-3] = np.median(gone[0, :51, 3:-3], axis=1, keepdims=True)
    paint(joined, frames, "wood", 32, 10)
    for video in (gone, joined):
        shown = judged(item, video)
        assert shown.right
        assert not shown.constant


def ball(x: int, material: str = "wood") -> SeenBall:
    return SeenBall(material, x, 20, 6.0, x < 6)


def test_a_ball_is_hidden_only_behind_one_that_it_touches_or_outside_and_not_for_long() -> None:
    apart, touching, one, outside = [ball(20), ball(44)], [ball(20), ball(32)], [ball(20)], [ball(3), ball(44)]
    assert hidden([apart, touching, one, one, touching, apart], 2).tolist() == [False, False, True, True, False, False]
    assert hidden([apart, outside, one, one], 2).tolist() == [False, False, True, True]
    assert not hidden([apart, apart, one, touching], 2).any()
    assert not hidden([touching, apart, *[one] * 6], 2).any()  # too long
    assert not hidden([touching, *[one] * 4, *[[]] * 2], 2).any()  # two balls are seen too rarely
    assert not judge([[]] * 8, "wood", 1).constant


def test_wall_colours_are_told_behind_balls_that_cover_most_of_a_row() -> None:
    item = real("rubber", 1)
    video = item.clip.video.copy()
    video[:, 30:50, 4:40] = (200, 40, 40)
    assert all(balls and balls[0].material == "rubber" for balls in seen_balls(video))


def test_the_script_prints_shares_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mmbench_here(
        capsys, "generate", "-s", "ground_truth", "-d", "bounce", "-n", "4", "--seed", str(SEED), "--out", tmp_path
    )
    assert made.returncode == 0, made.stderr
    script, store = load_script("scenes", monkeypatch, "results/tiny"), only_store(tmp_path)
    script.main([str(store.folder)])
    lines = capsys.readouterr().out.splitlines()
    numbers = [p.data["num_balls"] for p in bounce().prompts(4, SEED)]
    assert len(lines) == 2 + len(set(numbers))
    n = numbers.count(1)
    assert lines[2].startswith(f"| {store.run.run_id} | 1 | {n} | 1.000 [{n / (n + 1.959964**2):.3f}, 1.000] |")

    script.main(["--codec", "2", "--seed", str(SEED)])
    shown = capsys.readouterr().out.splitlines()[2:]
    assert sum(int(line.split("|")[3]) for line in shown) == 2
    assert all(line.startswith(f"| codec, seed {SEED} |") for line in shown)

    shutil.rmtree(store.samples)
    store.samples.mkdir()
    with pytest.raises(MMBenchError, match="holds 0 samples of bounce"):
        script.main([str(store.folder)])
