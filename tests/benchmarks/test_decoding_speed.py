"""One decoding of a clip for extractors of single clips and for networks, against one for each, in one run."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.media.clip_files import write_lossless
from mmbench.metrics.extractors.anomalies import AudioAnomalies, VideoAnomalies
from mmbench.runs.store import StoredSource
from mmbench.types import Clip
from tests.benchmarks.test_av_align_speed import moving_texture
from tests.builders import Mean

CLIPS = 24


def test_decoding_once(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    samples: list[Sample | None] = []
    for seed in range(CLIPS):
        sound = 0.1 * np.random.default_rng(seed).standard_normal(32000)
        write_lossless(
            Clip(np.stack(moving_texture(seed)), 8.0, sound.astype(np.float32), 16000), tmp_path / f"{seed}.mkv"
        )
        samples.append(Sample(StoredSource(str(seed), tmp_path / f"{seed}.mkv"), ""))
    single, networks = [VideoAnomalies(), AudioAnomalies()], [Mean("video", 8), Mean("audio", 8)]

    def together() -> None:
        extract(samples, [*single, *networks], FeatureCache(None), workers=1)

    def apart() -> None:  # what an evaluation did before
        extract(samples, single, FeatureCache(None), workers=1)
        extract(samples, networks, FeatureCache(None), workers=1)

    def seconds() -> tuple[float, float]:
        times = []
        for look in (apart, together):
            started = process_time()
            look()
            times.append(process_time() - started)
        return times[0], times[1]

    benchmark.pedantic(together)
    if benchmark.stats:  # timing is disabled in the plain test run
        two, one = np.median([seconds() for _ in range(5)], axis=0) / CLIPS
        benchmark.extra_info["cpu_ms_per_clip"] = [float(1e3 * two), float(1e3 * one)]
        benchmark.extra_info["ratio"] = float(two / one)
        print(f"\n{benchmark.extra_info}")
