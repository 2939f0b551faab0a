"""What looking for oddities costs beside decoding a clip and beside a metric, in processor time.

`pytest tests/benchmarks/test_anomaly_speed.py --benchmark-enable -s`
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mmbench.media.clip_files import read_lossless, write_lossless
from mmbench.metrics.av_align import AVAlign
from mmbench.metrics.extractors.anomalies import AudioAnomalies, VideoAnomalies
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.types import Clip
from tests.benchmarks.test_media_speed import film, seconds


@pytest.mark.parametrize("kind", ["bounce, 64x64", "film, 256x256"])
def test_anomalies(benchmark: BenchmarkFixture, tmp_path: Path, kind: str) -> None:
    dataset = make_dataset("bounce")
    clip = film() if kind.startswith("film") else dataset.real(make_requests(dataset, 1, 0)[0], "real").clip
    write_lossless(clip, tmp_path / "a.mkv")
    looks = VideoAnomalies(), AudioAnomalies()

    def look(clip: Clip) -> list[object]:
        return [extractor.extract([clip]) for extractor in looks]

    assert len(benchmark.pedantic(look, args=(clip,), rounds=5, warmup_rounds=1)) == 2

    def read() -> str:
        found = read_lossless(tmp_path / "a.mkv")
        return found.video_digest() + found.audio_digest()

    metric = AVAlign().extractors()
    benchmark.extra_info["over_decoding"] = round(seconds(lambda: look(clip)) / seconds(read), 3)
    benchmark.extra_info["over_av_align"] = round(
        seconds(lambda: look(clip)) / seconds(lambda: [e.extract([clip]) for e in metric]), 3
    )
