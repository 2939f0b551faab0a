"""Processes that share a cache share what there is to compute, and no bit depends on how many they are."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mmbench.features import together
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Extraction, Sample, extract
from mmbench.process_identity import this_place
from mmbench.types import Features
from tests.builders import MadeSource, Mean


class Watched(Mean):
    """Notes which clips it looked at, batch by batch."""

    def __init__(self, modality: str = "video", batch_size: int = 1, seconds: float = 0.0, **rest: int) -> None:
        super().__init__(modality, batch_size, **rest)
        self.seen, self.seconds = list[list[str]](), seconds

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        time.sleep(self.seconds)
        self.seen.append([clip.video_digest() for clip in batch])
        return super().extract(batch)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "CHUNK", 4)
    monkeypatch.setattr(together, "PAUSE", 0.01)


def made(count: int) -> list[Sample | None]:
    return [Sample(MadeSource(seed, f"digest {seed}"), "") for seed in range(count)]


def look(folder: Path, processes: int, watched: Watched, samples: Sequence[Sample | None]) -> Extraction:
    with FeatureCache(folder, processes) as cache:
        return extract(samples, [watched], cache, workers=1)


def values(found: Extraction, name: str) -> list[Any]:
    return [None if f is None else f["mean"].tobytes() for f in found.features[name]]


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("processes", [2, 5])
def test_each_clip_is_looked_at_once_in_the_same_batches(tmp_path: Path, processes: int, batch_size: int) -> None:
    alone = Watched("video", batch_size)
    whole = look(tmp_path / "alone", 1, alone, made(23))
    each = [Watched("video", batch_size, seconds=0.01) for _ in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(lambda watched: look(tmp_path / "shared", processes, watched, made(23)), each))
    assert sorted(batch for watched in each for batch in watched.seen) == sorted(alone.seen)
    assert sum(bool(watched.seen) for watched in each) > 1, "one process did it all"
    for one in found:
        assert values(one, alone.name) == values(whole, alone.name)


@pytest.mark.parametrize("died", [False, True], ids=["damaged later", "its process died"])
def test_what_is_not_in_the_cache_is_computed_again(died: bool, tmp_path: Path) -> None:
    look(tmp_path, 2, Watched("video"), made(4))
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()
    if died:
        (work,) = (tmp_path / "together").iterdir()
        (work / "000000").unlink()
        gone = {**this_place(), "pid": os.getpid(), "start": "0", "time": 0.0}  # a pid that was given anew since
        (work / "leases" / "000000").write_text(json.dumps(gone))
    again = Watched("video")
    assert None not in values(look(tmp_path, 2, again, made(4)), again.name)
    assert len(again.seen) == 4


def test_a_clip_without_features_has_its_reason_in_every_process(tmp_path: Path) -> None:
    samples = [*made(6), Sample(MadeSource(6, broken=True), "")]
    alone = look(tmp_path / "alone", 1, Watched("video"), samples)
    for _ in range(2):
        found = look(tmp_path / "shared", 2, Watched("video"), samples)
        assert found.reasons == alone.reasons
        assert found.unreadable == alone.unreadable != {}


def test_other_clips_or_extractors_are_other_work(tmp_path: Path) -> None:
    look(tmp_path, 2, Watched("video"), made(5))
    for watched, samples in ((Watched("video", version=2), made(5)), (Watched("audio"), made(5))):
        look(tmp_path, 2, watched, samples)
        assert sum(map(len, watched.seen)) == 5
    longer = Watched("video")
    look(tmp_path, 2, longer, made(9))
    assert sum(map(len, longer.seen)) == 4, "what the cache has is not computed again"
