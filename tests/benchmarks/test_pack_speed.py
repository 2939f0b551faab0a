"""Reading 256 packed samples against loose ones, in processor time: `pytest tests/benchmarks --benchmark-enable -s`."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import process_time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mmbench.files import write_json
from mmbench.media.clip_files import write_lossless
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleRecord, SampleStore
from tests.builders import clip

N = 256


def fill(store: SampleStore) -> None:
    """Write samples that are all alike: 4 frames of 32x32 noise, half a second of sound."""
    made, file = clip(frames=4, size=32, samples=8000), io.BytesIO()
    write_lossless(made, file)
    digests = made.digest(), made.video_digest(), made.audio_digest()
    for index in range(N):
        record = SampleRecord(index, "p", "a prompt", *digests, made.size(), len(file.getvalue()), 1.0)
        (store.samples / f"{index:06d}.mkv").write_bytes(file.getvalue())
        write_json(store.samples / f"{index:06d}.json", asdict(record))


def seconds(call: Callable[[], object]) -> float:
    """Least processor time [s] of three calls."""
    times = []
    for _ in range(3):
        started = process_time()
        call()
        times.append(process_time() - started)
    return min(times)


@pytest.mark.benchmark(group="packs")
def test_reading_packed_samples(benchmark: BenchmarkFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # of the disk, not of ours
    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    fill(store)
    calls: dict[str, Callable[[], object]] = {
        "status": store.status,
        "records": lambda: [store.record(index) for index in range(N)],
        "clips": lambda: [store.source(index).load() for index in range(N)],
    }
    loose = {name: seconds(call) for name, call in calls.items()}
    store.pack()
    packed = benchmark.pedantic(lambda: {name: seconds(call) for name, call in calls.items()}, rounds=1)
    files = len([path for path in store.samples.rglob("*") if path.is_file()])
    print(
        f"\n{N} samples, {2 * N} files loose and {files} packed; processor seconds of loose, packed, packed over loose"
    )
    for name in calls:
        ratio = packed[name] / loose[name]
        print(f"{name:8} {loose[name]:8.4f} {packed[name]:8.4f} {ratio:6.2f}")
        benchmark.extra_info[f"{name}_packed_over_loose"] = round(ratio, 2)
