"""Samples in packs are the samples."""

from __future__ import annotations

import shlex
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mmbench.runs import generate as loop
from mmbench.runs import packs
from mmbench.runs.generate import generate
from mmbench.runs.spec import make_requests
from mmbench.runs.store import SampleStore
from mmbench.types import Clip, Request
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem
from tests.runs.packing import FAILING, REQUESTS, RUN, Flawed, N, content, loose_bytes, make, only_pack, packed

pytestmark = pytest.mark.usefixtures("fast_disk")


def test_packed_samples_are_the_same_ones_and_come_back_byte_by_byte(tmp_path: Path) -> None:
    store = make(tmp_path)
    before, files = content(store), loose_bytes(store)
    sources = [store.source(i) for i in range(FAILING)]
    assert store.pack() == N
    assert loose_bytes(store) == {}
    with tarfile.open(only_pack(store)) as tar:
        assert tar.getnames() == ["index.json", *sorted(files, key=lambda name: (name[:6], "json" in name))]
        assert all(tar.extractfile(name).read() == data for name, data in files.items())  # type: ignore[union-attr]
    assert content(store) == content(SampleStore.open(store.folder)) == before
    assert [source.load().digest() for source in sources] == [store.record(i).digest for i in range(FAILING)]
    assert (store.has(2), store.has(FAILING), store.find_damaged(range(FAILING), decode=True)) == (True, False, {})
    assert store.pack() == 0
    assert store.unpack() == N
    assert loose_bytes(store) == files
    assert [file.name for file in store.samples.iterdir() if file.is_dir()] == []
    assert (content(store), store.unpack()) == (before, 0)


def test_a_run_that_packs_while_it_goes_on_never_has_many_loose_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "MOST_SAMPLES", 3)
    monkeypatch.setattr(loop, "MOST_SAMPLES", 3)
    store, most = SampleStore.create(tmp_path, RUN), list[int]()

    class Watched(FixtureSystem):
        def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
            most.append(len(store.packs.loose()))
            yield from super().generate(requests)

    requests = make_requests(FixtureDataset(), 11, 0)
    generate(store, Watched(), requests[:8], pack=True)
    assert (max(most), store.packs.loose(), len(store.packs.files())) == (2, {}, 3)
    generate(store, Watched(), requests, pack=False)
    assert (store.made, len(store.packs.loose())) == (11, 3), "a longer run makes what it lacks, loose"
    generate(store, Watched(), requests, pack=True)
    assert (store.made, store.packs.loose(), store.status(11).missing) == (11, {}, [])
    monkeypatch.setattr(packs, "MOST_BYTES", 1)
    store.unpack()
    store.pack()
    assert len(store.packs.files()) == 11, "a pack is closed before it is too large"


def test_failures_and_samples_made_later_hide_packed_failures(tmp_path: Path) -> None:
    store = packed(tmp_path)
    first = store.failure(FAILING)
    store.fail(REQUESTS[FAILING], "media", "another reason")
    assert store.failure(FAILING).reason == "another reason" != first.reason
    store.pack()
    assert store.failure(FAILING).reason == "another reason"
    assert len(store.packs.files()) == 2
    generate(store, FixtureSystem(), REQUESTS, retry_failed=True, pack=True)
    assert (store.status(N).present, store.status(N).failed) == (list(range(N)), [])
    store.unpack()
    assert not (store.samples / f"{FAILING:06d}.failed.json").exists()
    assert store.status(N).present == list(range(N))


@pytest.mark.parametrize(("mine", "theirs"), [(True, False), (False, True), (True, True)])
def test_packed_and_loose_runs_merge(tmp_path: Path, mine: bool, theirs: bool) -> None:
    expected = content(make(tmp_path / "whole"))["samples"]
    a, b = (SampleStore.create(tmp_path / name, RUN) for name in "ab")
    generate(a, Flawed(), REQUESTS, shard=loop.Shard(0, 2), pack=mine)
    generate(b, Flawed(), REQUESTS, shard=loop.Shard(1, 2), pack=theirs)
    assert a.merge(b) == 1
    found = content(a)["samples"]
    assert {i: x[1] for i, x in found.items()} == {i: x[1] for i, x in expected.items()}
    assert a.status(N).failed == [FAILING]
    assert (a.packs.loose() == {}) == theirs, "what was packed stays packed"
    assert a.merge(b) == 0


def test_media_without_a_record_stay(tmp_path: Path) -> None:
    store = make(tmp_path)
    (store.samples / "000009.mkv").write_bytes(b"being written")
    assert store.pack() == N
    assert list(loose_bytes(store)) == ["000009.mkv"]
    assert shlex.split(store.source(9).remedy)[:2] == ["rm", "-f"]
