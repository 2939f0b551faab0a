"""How much faster flow trajectories are than the reference's loop: `pytest tests/benchmarks --benchmark-enable -s`."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from time import perf_counter, process_time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mmbench.metrics.extractors.optical_flow import FARNEBACK, flow_trajectory, keep_freed_memory

WORKERS = 2
Trajectory = Callable[[list[np.ndarray]], np.ndarray]


def moving_texture(seed: int) -> list[np.ndarray]:
    """16 frames (256, 256, 3) uint8 RGB: smooth noise drifting at a speed that changes from frame to frame."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.standard_normal((256, 256), dtype=np.float32), 3, mode="wrap")
    pattern = np.clip(127 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
    rolled = (np.roll(pattern, offset, axis=(0, 1)) for offset in np.cumsum(rng.integers(-3, 4, (16, 2)), axis=0))
    return [np.stack([frame, frame, 255 - frame], axis=-1) for frame in rolled]


def reference_trajectory(frames: list[np.ndarray]) -> np.ndarray:
    """What guyyariv/TempoTokens@34d9502:av_align.py computes: first pair twice, every frame to grey for each pair."""
    import cv2

    def mean_flow(before: np.ndarray, after: np.ndarray) -> float:
        a, b = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in (before, after))
        field = cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0)
        return cv2.mean(cv2.magnitude(field[..., 0], field[..., 1]))[0]

    swapped = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in frames]
    return np.array([mean_flow(swapped[max(i - 1, 0)], swapped[max(i, 1)]) for i in range(len(frames))])


def our_trajectory(frames: list[np.ndarray]) -> np.ndarray:
    """The extractor's function on the same clip."""
    return flow_trajectory(np.stack(frames))


def flow_alone(frames: list[np.ndarray]) -> np.ndarray:
    """Nothing but OpenCV's flow of the 15 pairs, on one thread with memory kept: no loop around it takes less."""
    import cv2

    cv2.setNumThreads(1)
    keep_freed_memory()
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    field = np.empty((*grey[0].shape, 2), np.float32)
    for before, after in pairwise(grey):
        cv2.calcOpticalFlowFarneback(before, after, field, **FARNEBACK)  # type: ignore[call-overload]
    return field.ravel()[:1]


def cpu_timed(trajectory: Trajectory, seed: int) -> tuple[np.ndarray, float]:
    """A trajectory and the processor seconds it took: they stay comparable while other work runs."""
    frames = moving_texture(seed)
    start = process_time()
    return trajectory(frames), process_time() - start


def run(pool: ProcessPoolExecutor, trajectory: Trajectory, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(n, 16) trajectories; (2,) wall and processor seconds per clip."""
    start = perf_counter()
    found, cpu = zip(*pool.map(partial(cpu_timed, trajectory), seeds), strict=True)
    return np.array(found), np.array([perf_counter() - start, sum(cpu)]) / len(seeds)


@pytest.mark.benchmark(group="av_align")
def test_flow_against_the_reference_loop(benchmark: BenchmarkFixture) -> None:
    """Adds what `WORKERS` cores could reach at most: their number times the reference over OpenCV's flow alone."""
    seeds, rounds = (range(8), 5) if benchmark.enabled else (range(2), 0)
    context = multiprocessing.get_context("spawn")  # fresh processes: OpenCV's threads and malloc as a script has them
    with ProcessPoolExecutor(1, context) as alone, ProcessPoolExecutor(WORKERS, context) as pool:
        got, expected = run(pool, our_trajectory, seeds)[0], run(alone, reference_trajectory, seeds)[0]
        np.testing.assert_allclose(got, expected, rtol=1e-6)
        run(pool, flow_alone, seeds)
        seconds = [
            (
                run(alone, reference_trajectory, seeds)[1],
                run(pool, our_trajectory, seeds)[1],
                run(pool, flow_alone, seeds)[1],
            )
            for _ in range(rounds)
        ]
        benchmark.pedantic(run, (pool, our_trajectory, seeds), rounds=1)
    if seconds:
        reference, ours, flow = np.array(seconds).transpose(1, 2, 0)  # (2, rounds) each: wall, processor
        for kind, *each in zip(("wall", "cpu"), reference, ours, flow, strict=True):
            benchmark.extra_info[f"{kind}_ms_per_clip"] = [float(np.median(x)) * 1e3 for x in each]
            benchmark.extra_info[f"{kind}_ratio"] = float(np.median(each[0] / each[1]))
        benchmark.extra_info["flow_share_of_ours"] = float(np.median(flow[1] / ours[1]))
        benchmark.extra_info["bound_of_wall_ratio"] = float(WORKERS * np.median(reference[1] / flow[1]))
        print(f"\nreference, ours, flow alone; on {WORKERS} processes but the first: {benchmark.extra_info}")
