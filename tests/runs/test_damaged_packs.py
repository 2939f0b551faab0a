"""Whatever part of a pack is damaged, the samples it loses are named and made again, and no others."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from mmbench.errors import IntegrityError
from mmbench.files import seal
from mmbench.runs.generate import generate
from mmbench.runs.store import SampleStore, note_invocation
from tests.fixture_distribution.mmbench_fixture import FixtureSystem
from tests.runs.packing import (
    FAILING,
    REQUESTS,
    Flawed,
    N,
    content,
    edit,
    flipped,
    look_again,
    make,
    only_pack,
    packed,
)

pytestmark = pytest.mark.usefixtures("fast_disk")


PARTS = {"media": ".mkv", "record": ".json"}


@pytest.mark.parametrize("part", PARTS)
def test_damage_in_a_pack_is_found_and_made_again(tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture) -> None:
    store = packed(tmp_path)
    before = {i: store.record(i).digest for i in range(FAILING)}
    place = store.packs.members()[f"000001{PARTS[part]}"].place
    edit(only_pack(store), lambda data: flipped(data, place.offset + place.size // 2))
    assert list(store.find_damaged(range(FAILING), decode=True)) == [1]
    assert store.status(N).present == [0, 1, 2]
    if part == "media":
        with pytest.raises(IntegrityError, match=r"(?s)pack-000001-.*tar/000001.mkv.*try: .* --retry-failed$"):
            store.verify(1)
    note_invocation(store.folder, {"command": ["echo", "it's typed"]})
    typed = subprocess.run(["sh", "-c", store.source(1).remedy], check=True, capture_output=True, text=True)
    assert typed.stdout == "it's typed --retry-failed\n"
    generate(store, Flawed(), REQUESTS, retry_failed=part == "media", pack=True)
    assert "sample 1 is damaged and made again" in caplog.text
    assert {i: store.record(i).digest for i in range(FAILING)} == before
    assert store.find_damaged(range(FAILING), decode=True) == {}
    again = SampleStore.open(store.folder)
    assert (len(again.packs.files()), again.packs.loose()) == (2, {})
    assert again.unpack() == N
    assert {i: again.record(i).digest for i in range(FAILING)} == before


def test_an_old_failure_in_a_pack_does_not_count_again_once_what_is_typed_removed_the_sample(tmp_path: Path) -> None:
    store = packed(tmp_path)
    generate(store, FixtureSystem(), REQUESTS, retry_failed=True)
    media = store.samples / f"{FAILING:06d}.mkv"
    media.write_bytes(flipped(media.read_bytes(), 900))
    note_invocation(store.folder, {"command": ["echo", "typed"]})
    typed = subprocess.run(["sh", "-c", store.source(FAILING).remedy], check=True, capture_output=True, text=True)
    assert (typed.stdout, media.exists()) == ("typed --retry-failed\n", False)
    assert store.status(N).failed == [FAILING]
    generate(store, FixtureSystem(), REQUESTS, retry_failed=True)
    assert store.find_damaged(store.status(N).present, decode=True) == {}
    assert store.status(N).present == list(range(N))


def test_a_pack_that_links_to_nothing_is_named(tmp_path: Path) -> None:
    store = packed(tmp_path)
    link = only_pack(store).with_name("pack-000002-00000000.tar")
    link.symlink_to("gone.tar")
    for look in (store.status, store.unpack, lambda: store.has(0), lambda: store.record(0)):
        with pytest.raises(IntegrityError, match=r"(?s)pack-000002-0.*tar is a link to gone.tar.*try: ls -l .* or rm "):
            look()
    link.unlink()
    assert store.unpack() == N


@pytest.mark.parametrize(("name", "whole"), [("000001.json", 3), ("000001.mkv", 3), ("000007.failed.json", 4)])
def test_a_link_to_nothing_among_loose_files_is_named_and_stays(
    tmp_path: Path, name: str, whole: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = make(tmp_path)
    link = store.samples / name
    link.unlink(missing_ok=True)
    link.symlink_to("gone")
    assert store.packs.pack(store.packs.loose(), lambda: True) == whole
    assert f"{link} stays loose: it is a link to gone, which cannot be followed" in caplog.text
    assert (list(store.packs.loose()), link.is_symlink()) == ([name[:6]], True)
    assert store.pack() == 0


def test_a_discarded_sample_is_missing_and_an_old_failure_does_not_come_back(tmp_path: Path) -> None:
    store = packed(tmp_path)
    generate(store, FixtureSystem(), REQUESTS, retry_failed=True, pack=True)
    store.discard(FAILING)
    store.discard(0)
    assert (store.status(N).missing, store.status(N).failed) == ([0, FAILING], [])
    assert not store.has(0)
    generate(store, FixtureSystem(), REQUESTS)
    assert store.status(N).present == list(range(N))


@pytest.mark.parametrize("sample", [0, 2])
def test_a_damaged_header_loses_nothing(tmp_path: Path, sample: int, caplog: pytest.LogCaptureFixture) -> None:
    store = packed(tmp_path)
    before = content(store)
    place = store.packs.members()[f"00000{sample}.mkv"].place
    edit(only_pack(store), lambda data: flipped(data, place.offset - 500))
    assert content(store) == before
    assert "index" not in caplog.text


@pytest.mark.parametrize("at", [0, 130, 520, 700])
def test_a_damaged_index_loses_nothing(tmp_path: Path, at: int, caplog: pytest.LogCaptureFixture) -> None:
    store = packed(tmp_path)
    before = content(store)
    edit(only_pack(store), lambda data: flipped(data, at))
    assert content(store) == before
    assert "has a damaged index" in caplog.text


def test_without_index_what_has_a_whole_header_is_found(tmp_path: Path) -> None:
    store = packed(tmp_path)
    place = store.packs.members()["000001.mkv"].place
    edit(only_pack(store), lambda data: flipped(flipped(data, place.offset - 500), 600))
    assert store.status(N).present == [0, 1, 2]
    assert list(store.find_damaged(range(FAILING), decode=True)) == [1]


def test_a_pack_that_was_cut_off_tells_what_it_lost(tmp_path: Path) -> None:
    store = packed(tmp_path)
    before = {i: store.record(i).digest for i in range(FAILING)}
    place = store.packs.members()["000001.mkv"].place
    edit(only_pack(store), lambda data: data[: place.offset + 100])
    assert store.status(N).present == [0, 1, 2]
    found = store.find_damaged(range(FAILING))
    assert list(found) == [1, 2]
    assert "000001.json is corrupt" in found[1]
    with pytest.raises(IntegrityError, match=r"(?s)pack-000001-.*000002.json is corrupt.*--retry-failed"):
        store.record(2)
    with pytest.raises(IntegrityError, match=r"(?s)pack-000001-.*000003.failed.json is corrupt.*--retry-failed"):
        store.failure(FAILING)
    generate(store, FixtureSystem(), REQUESTS, retry_failed=True)
    assert store.find_damaged(range(N), decode=True) == {}
    assert {i: store.record(i).digest for i in range(FAILING)} == before


def test_an_empty_pack_is_told_and_its_samples_are_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = packed(tmp_path)
    edit(only_pack(store), lambda data: b"")
    assert store.status(N).missing == list(range(N))
    assert "has a damaged index" in caplog.text


@pytest.mark.parametrize(
    "members", ["5", "[[1, 2]]", '[["000000.mkv", -5]]', '[["../../evil", 5]]', '[["000000.mkv", 1e3]]', "null"]
)
def test_a_hostile_index_is_no_index(tmp_path: Path, members: str) -> None:
    store = packed(tmp_path)
    before = content(store)

    def change(data: bytes) -> bytes:
        info = tarfile.TarInfo.frombuf(data[:512], "utf-8", "strict")
        index = seal(f'{{"members": {members}}}'.encode()).ljust(info.size)
        return data[:512] + index[: info.size] + data[512 + info.size :]

    edit(only_pack(store), change)
    assert content(store) == before


def test_sizes_beyond_the_pack_are_no_sizes(tmp_path: Path) -> None:
    store = packed(tmp_path)

    def change(data: bytes) -> bytes:
        info = tarfile.TarInfo.frombuf(data[:512], "utf-8", "strict")
        return (
            data[:512]
            + seal(b'{"members": [["000000.mkv", 9000000000000]]}').ljust(info.size)
            + data[512 + info.size :]
        )

    edit(only_pack(store), change)
    file = only_pack(store)
    assert store.packs.members()["000000.mkv"].place.size < file.stat().st_size
    file.unlink()
    os.mkfifo(file)
    look_again()
    with pytest.raises(OSError, match="FIFO"):
        store.status(N)


def test_damaged_loose_samples_are_not_packed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = make(tmp_path)
    media = store.samples / "000001.mkv"
    media.write_bytes(media.read_bytes()[:-7])
    assert store.pack() == N - 1
    assert "sample 1 is damaged and not packed" in caplog.text
    assert list(store.packs.loose()) == ["000001"]
    generate(store, Flawed(), REQUESTS, pack=True)
    assert (store.find_damaged(range(FAILING), decode=True), store.packs.loose()) == ({}, {})
