"""A clip of a video that was made ready against one cut out of the video, in processor time.

`pytest tests/benchmarks --benchmark-enable -s`; numbers are in `extra_info`. Otherwise the film is short.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from mmbench.datasets.copies.cut_anywhere import cut
from mmbench.datasets.copies.prepare import prepare_videos
from mmbench.datasets.mm_diffusion import LandscapeInDomain
from tests.media_files import write_media

FPS, RATE = 30, 44100


def write_film(path: Path, length: int) -> None:
    """`length` [s] of 640x360 smooth colour drifting under sensor noise at 30 fps in H.264, and noise in stereo AAC."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    scene = gaussian_filter(rng.standard_normal((360, 640, 3)), (6, 6, 0), mode="wrap")
    base, grain = 127 + 40 * scene / scene.std(), rng.normal(0, 3, (4, 360, 640, 3))
    film = np.empty((length * FPS, 360, 640, 3), np.uint8)
    for j, frame in enumerate(film):
        frame[:] = np.clip(np.roll(base, 3 * j, axis=1) + grain[j % 4], 0, 255)
    path.parent.mkdir(parents=True)
    write_media(path, film, rng.uniform(-0.3, 0.3, (2, length * RATE)).astype(np.float32), fps=FPS, rate=RATE)


def seconds(call: Callable[[], object], times: int) -> float:
    """Median processor time [s]."""
    taken = []
    for _ in range(times):
        start = process_time()
        call()
        taken.append(process_time() - start)
    return median(taken)


def test_clip_of_a_prepared_video(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    video = tmp_path / "train" / "film.mp4"
    write_film(video, 10 if benchmark.enabled else 2)
    copy = LandscapeInDomain(str(tmp_path))
    preparing = seconds(lambda: prepare_videos(tmp_path, copy.videos, copy.preparation, workers=1, quiet=True), 1)
    part = LandscapeInDomain(str(tmp_path)).train
    ticks = cycle(range(part.starts["film.mp4"]))

    def read() -> object:
        return part.item("film.mp4", next(ticks))

    assert part.item("film.mp4", 3).clip.digest() == cut(video, 3).digest()
    benchmark.pedantic(read, rounds=20, warmup_rounds=2)
    from_video, from_prepared = seconds(lambda: cut(video, 3), 5), seconds(read, 100)
    made = next((tmp_path / "prepared").rglob("*.safetensors"))
    benchmark.extra_info["from_video_ms"] = 1e3 * from_video
    benchmark.extra_info["from_prepared_ms"] = 1e3 * from_prepared
    benchmark.extra_info["video_over_prepared_cpu"] = from_video / from_prepared
    benchmark.extra_info["preparing_over_one_clip_cpu"] = preparing / from_video
    benchmark.extra_info["prepared_MB"] = made.stat().st_size / 1e6
