"""Lossless storage against lossless H.264, in processor time: `pytest tests/benchmarks --benchmark-enable -s`."""

from __future__ import annotations

import io
from collections.abc import Callable
from time import process_time

import av
import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from mmbench.media.clip_files import read_lossless, write_lossless
from mmbench.types import Clip


def film() -> Clip:
    """1.6 s: 16 frames of 256x256 smooth colour drifting under sensor noise, and a tone."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    scene = gaussian_filter(rng.standard_normal((256, 256, 3)), (4, 4, 0), mode="wrap")
    base = 127 + 40 * scene / scene.std()
    frames = [np.roll(base, 3 * j, axis=1) + rng.normal(0, 1.5, base.shape) for j in range(16)]
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(25600) / 16000)
    return Clip(np.clip(np.stack(frames), 0, 255).astype(np.uint8), 10, tone.astype(np.float32), 16000)


def write_h264_rgb(clip: Clip) -> bytes:
    """The usual other choice: lossless H.264 in RGB (libx264rgb, qp 0)."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264rgb", rate=10, options={"qp": "0"})
        stream.height, stream.width = clip.video.shape[1:3]
        stream.pix_fmt = "rgb24"
        for pixels in clip.video:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def write_ffv1(clip: Clip) -> bytes:
    file = io.BytesIO()
    write_lossless(clip, file)
    return file.getvalue()


def seconds(call: Callable[[], object]) -> float:
    """Least processor time [s] of five calls."""
    times = []
    for _ in range(5):
        start = process_time()
        call()
        times.append(process_time() - start)
    return min(times)


def test_lossless_write(benchmark: BenchmarkFixture) -> None:
    clip = film()
    data = benchmark.pedantic(write_ffv1, args=(clip,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["h264_over_ffv1_cpu"] = seconds(lambda: write_h264_rgb(clip)) / seconds(
        lambda: write_ffv1(clip)
    )
    benchmark.extra_info["ffv1_over_h264_bytes"] = len(data) / len(write_h264_rgb(clip))
    benchmark.extra_info["raw_over_ffv1_bytes"] = (clip.video.nbytes + 2 * len(clip.audio)) / len(data)


def test_lossless_read(benchmark: BenchmarkFixture) -> None:
    clip = film()
    data = write_ffv1(clip)
    back = benchmark.pedantic(lambda: read_lossless(io.BytesIO(data)), rounds=5, warmup_rounds=1)
    assert back.digest() == clip.digest()
    write = seconds(lambda: write_ffv1(clip))
    benchmark.extra_info["read_over_write_cpu"] = seconds(lambda: read_lossless(io.BytesIO(data))) / write
