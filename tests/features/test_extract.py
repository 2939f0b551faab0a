"""Features are computed once, whatever the process, and one bad clip spoils no other."""

from __future__ import annotations

import errno
import time
import weakref
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.errors import MMBenchError
from mmbench.features import cache as feature_cache
from mmbench.features import decoding
from mmbench.features import extract as features
from mmbench.features.cache import FeatureCache
from mmbench.features.content import Content
from mmbench.features.extract import Sample, extract
from mmbench.types import Clip, Features
from tests.builders import MadeSource, Mean, clip


def samples(count: int, known: bool = False) -> list[Sample | None]:
    out: list[Sample | None] = []
    for seed in range(count):
        c = clip(seed)
        content = Content(c.video_digest(), c.audio_digest(), c.size(), c.codecs()) if known else None
        out.append(Sample(MadeSource(seed), "x" * seed, content))
    return out


@pytest.mark.parametrize("batch_size", [1, 4])
def test_values_belong_to_their_samples(batch_size: int) -> None:
    many = samples(7)
    many[3] = None
    found = extract(many, [Mean("video", batch_size), Mean("audio", batch_size)], FeatureCache(None), workers=1)
    for i in range(7):
        video, audio = found.features[f"mean_video_{batch_size}"][i], found.features[f"mean_audio_{batch_size}"][i]
        if i == 3:
            assert video is None
            assert audio is None
            continue
        assert video is not None
        assert audio is not None
        assert float(video["mean"]) == clip(i).video.mean(dtype=np.float64)
        assert float(audio["mean"]) == clip(i).audio.mean(dtype=np.float64)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_second_look_computes_nothing(tmp_path: Path, batch_size: int) -> None:
    first = extract(samples(5), [Mean("video", batch_size)], FeatureCache(tmp_path), workers=1)
    again = Mean("video", batch_size)
    second = extract(samples(5, known=True), [again], FeatureCache(tmp_path), workers=1)
    assert again.calls == 0
    name = again.name
    for a, b in zip(first.features[name], second.features[name], strict=True):
        assert a is not None
        assert b is not None
        assert a["mean"].shape == b["mean"].shape == ()
        assert a["mean"] == b["mean"]
        assert b["none"].shape == (0,)


def test_another_version_of_an_extractor_shares_nothing(tmp_path: Path) -> None:
    extract(samples(3), [Mean(version=1)], FeatureCache(tmp_path), workers=1)
    newer = Mean(version=2)
    extract(samples(3, known=True), [newer], FeatureCache(tmp_path), workers=1)
    assert newer.calls == 3


def test_a_clip_that_shares_a_half_shares_its_features(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    extract(samples(1), [Mean("video"), Mean("audio")], cache, workers=1)
    mixed = Content(clip(0).video_digest(), "another sound", "", "")
    video, audio = Mean("video"), Mean("audio")
    extract([Sample(MadeSource(0), "", mixed)], [video, audio], cache, workers=1)
    assert (video.calls, audio.calls) == (0, 1)


def test_sources_with_a_digest_are_not_decoded_again(tmp_path: Path) -> None:
    extract([Sample(MadeSource(1, "file-1"), "")], [Mean()], FeatureCache(tmp_path), workers=1)
    gone = Sample(MadeSource(1, "file-1", broken=True), "")
    found = extract([gone], [Mean()], FeatureCache(tmp_path), workers=1)
    assert found.features["mean_video_1"][0] is not None
    assert found.contents[0] is not None


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_unreadable_clip_is_a_reason_and_nothing_else(batch_size: int) -> None:
    many = samples(5)
    many[2] = Sample(MadeSource(2, broken=True), "")
    extractor = Mean("video", batch_size)
    found = extract(many, [extractor], FeatureCache(None), workers=1)
    assert [f is None for f in found.features[extractor.name]] == [False, False, True, False, False]
    assert "truncated" in found.reasons[extractor.name, 2]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_one_clip_a_network_refuses_does_not_take_its_batch_along(batch_size: int) -> None:
    extractor = Mean("video", batch_size, fails_on=2)
    found = extract(samples(5), [extractor], FeatureCache(None), workers=1)
    assert [f is None for f in found.features[extractor.name]] == [False, False, True, False, False]
    assert "cannot take" in found.reasons[extractor.name, 2]


@dataclass(frozen=True)
class Counted(MadeSource):
    """A source that counts how often its clip was decoded, and how many clips of all sources live at a time."""

    counts: Counter[int] = field(default_factory=Counter)
    alive: weakref.WeakSet[Clip] = field(default_factory=weakref.WeakSet)
    most: list[int] = field(default_factory=lambda: [0])

    def load(self) -> Clip:
        made = super().load()
        self.counts[self.seed] += 1
        self.alive.add(made)
        self.most[0] = max(self.most[0], len(self.alive))
        return made


def counted(count: int, known: bool = True) -> list[Sample | None]:
    counts: Counter[int] = Counter()
    alive: weakref.WeakSet[Clip] = weakref.WeakSet()
    most = [0]
    sources = [Counted(i, counts=counts, alive=alive, most=most) for i in range(count)]
    contents = [Content.of(clip(i)) if known else None for i in range(count)]
    return [Sample(source, "", content) for source, content in zip(sources, contents, strict=True)]


ALL_KINDS = (("video", 4), ("audio", 3), ("video", 1), ("audio", 1), ("text", 2))


@pytest.mark.parametrize("known", [True, False])
def test_a_clip_is_decoded_once_for_all_extractors(known: bool) -> None:
    many = counted(10, known)
    found = extract(many, [Mean(*kind) for kind in ALL_KINDS], FeatureCache(None), workers=1)
    assert many[0].source.counts == dict.fromkeys(range(10), 1)
    assert found.contents == [Content.of(clip(i)) for i in range(10)]


@dataclass(frozen=True)
class Noted(MadeSource):
    """A source that notes in a file, which processes can share, that its clip was decoded."""

    notes: str = ""

    def load(self) -> Clip:
        with open(self.notes, "a") as file:
            file.write(f"{self.seed}\n")
        return super().load()


def test_a_pool_decodes_each_clip_once_and_gives_it_to_networks_in_the_same_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watched(Mean):
        def extract(self, batch: Sequence[Any]) -> list[Features]:
            seen.append([c.video_digest() for c in batch])
            return super().extract(batch)

    def look(notes: Path, workers: int) -> dict[str, list[Features | None]]:
        many: list[Sample | None] = [Sample(Noted(i, notes=str(notes)), "") for i in range(11)]
        many[2] = Sample(MadeSource(2, broken=True), "")
        extractors = [Watched("video", 4), Mean("audio", 1)]
        found = extract(many, extractors, FeatureCache(None), workers=workers)
        assert "truncated" in found.reasons["mean_video_4", 2]
        return found.features

    seen: list[list[str]] = []
    alone, batches = look(tmp_path / "alone", 1), seen
    seen = []
    monkeypatch.setattr(decoding, "POOL_PAYS_AFTER", 0.0)
    monkeypatch.setattr(decoding, "CHUNK", 2)
    pooled = look(tmp_path / "pooled", 2)
    assert seen == batches
    assert sorted(map(int, (tmp_path / "pooled").read_text().split())) == [0, 1, *range(3, 11)]
    for name, ours in alone.items():
        assert [f and f["mean"].tobytes() for f in pooled[name]] == [f and f["mean"].tobytes() for f in ours]


@pytest.mark.parametrize(("task_bytes", "each"), [(1, 1), (1 << 20, 3)], ids=["large clips", "small clips"])
def test_clips_of_a_pool_do_not_pile_up(task_bytes: int, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "worker_pool", ThreadPoolExecutor)  # to see what is alive in workers, too
    monkeypatch.setattr(decoding, "POOL_PAYS_AFTER", 0.0)
    monkeypatch.setattr(decoding, "CHUNK", 3)
    monkeypatch.setattr(decoding, "TASK_BYTES", task_bytes)

    class Slow(Mean):
        def extract(self, batch: Sequence[Any]) -> list[Features]:
            time.sleep(0.005)
            return super().extract(batch)

    many = counted(60)
    extract(many, [Slow("video", 4)], FeatureCache(None), workers=2)
    assert sum(many[0].source.counts.values()) == 60
    # a batch, the task that the rest of it came from, a batch ahead in whole tasks, and a task of each worker
    assert many[0].source.most[0] <= 4 + each + 4 + each - 1 + 2 * each


def test_features_of_another_file_with_the_same_content_are_not_computed_again(tmp_path: Path) -> None:
    extract([Sample(MadeSource(1, "one file"), "")], [Mean("video", 4)], FeatureCache(tmp_path), workers=1)
    again = Mean("video", 4)
    both: list[Sample | None] = [Sample(MadeSource(1, "another file"), ""), Sample(MadeSource(2, "a third"), "")]
    found = extract(both, [again], FeatureCache(tmp_path), workers=1)
    assert again.calls == 1
    assert [float(f["mean"]) for f in found.features[again.name] if f] == [
        clip(i).video.mean(dtype=np.float64) for i in (1, 2)
    ]


@pytest.mark.parametrize(("extractors", "limit"), [([Mean("video", 4), Mean("audio", 3)], 9), ([Mean("video", 1)], 2)])
def test_clips_in_memory_do_not_grow_with_their_number(extractors: list[Mean], limit: int) -> None:
    peaks = []
    for count in (20, 60):
        many = counted(count)
        extract(many, extractors, FeatureCache(None), workers=1)
        assert sum(many[0].source.counts.values()) == count
        peaks.append(many[0].source.most[0])
    assert peaks[1] <= limit  # a batch, the batch ahead, and the clip being made


def test_features_reach_the_disk_while_others_are_still_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "FLUSH_EVERY", 4)

    class Dies(Mean):
        def extract(self, batch: Sequence[Any]) -> list[Features]:
            if self.calls >= 8:
                raise KeyboardInterrupt
            return super().extract(batch)

    Dies.__module__ = Mean.__module__  # the same code as what goes on
    with pytest.raises(KeyboardInterrupt):
        extract(samples(20, known=True), [Dies("video", 4)], FeatureCache(tmp_path), workers=1)
    again = Mean("video", 4)
    extract(samples(20, known=True), [again], FeatureCache(tmp_path), workers=1)
    assert again.calls == 12


def test_texts_need_no_clip() -> None:
    broken: list[Sample | None] = [Sample(MadeSource(0, broken=True), "three")]
    found = extract(broken, [Mean("text")], FeatureCache(None), workers=1)
    assert found.features["mean_text_1"][0] == {"mean": np.array(5.0)}


def test_a_pool_gives_what_one_process_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = extract(samples(6), [Mean()], FeatureCache(None), workers=1)
    monkeypatch.setattr(decoding, "POOL_PAYS_AFTER", 0.0)
    monkeypatch.setattr(decoding, "CHUNK", 2)
    here = Mean()
    pooled = extract(samples(6), [here], FeatureCache(None), workers=2)
    assert here.calls == 2, "after two clips here, the rest belongs to the pool"
    for a, b in zip(pooled.features[here.name], alone.features[here.name], strict=True):
        assert a is not None
        assert b is not None
        assert a["mean"] == b["mean"]


def test_many_small_files_become_one_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "MAX_FILES", 3)
    for seed in range(5):
        extract([Sample(MadeSource(seed), "")], [Mean()], FeatureCache(tmp_path), workers=1)
    extractor = Mean()
    extract(samples(5, known=True), [extractor], FeatureCache(tmp_path), workers=1)
    assert extractor.calls == 0
    assert len(list(tmp_path.glob("mean_video_1-*/*.safetensors"))) <= 3


def test_files_become_one_on_a_disk_without_locks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("mmbench.features.cache.fcntl.flock", refuse)
    test_many_small_files_become_one_and_lose_nothing(tmp_path, monkeypatch)


def test_a_damaged_cache_file_is_computed_again(tmp_path: Path) -> None:
    extract(samples(3), [Mean()], FeatureCache(tmp_path), workers=1)
    (file,) = tmp_path.glob("mean_video_1-*/*.safetensors")
    file.write_bytes(file.read_bytes()[:20])
    extractor = Mean()
    found = extract(samples(3, known=True), [extractor], FeatureCache(tmp_path), workers=1)
    assert extractor.calls == 3
    assert all(f is not None for f in found.features["mean_video_1"])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_extractor_that_gives_no_dicts_is_refused_by_name(tmp_path: Path, batch_size: int) -> None:
    class Bare(Mean):
        def extract(self, batch: Any) -> Any:
            return [np.zeros(3) for _ in batch]

    with pytest.raises(MMBenchError, match=r"mean_video_. gave a ndarray for a clip"):
        extract(samples(3), [Bare("video", batch_size)], FeatureCache(tmp_path), workers=1)
