"""Samples in packs are the samples: whatever happens while they move, and whatever part of a pack is damaged."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import DiskError, IntegrityError, MediaError, MMBenchError
from mmbench.files import seal
from mmbench.runs import generate as loop
from mmbench.runs import pack_index, packs, stored
from mmbench.runs.generate import generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore, note_invocation
from mmbench.types import Clip, Request
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem

N = 4
FAILING = 3
REQUESTS = make_requests(FixtureDataset(), N, 0)
CALLS = ("open", "write", "fsync", "replace", "unlink", "mkdir", "rmdir")


class Flawed(FixtureSystem):
    """A system that cannot make one of the samples."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        for request in requests:
            if request.index == FAILING:
                raise ValueError("too long a prompt")
            yield from super().generate([request])


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written need not survive a power failure."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def make(out: Path, **options: Any) -> SampleStore:
    """A run of three samples and a failure, or one that goes on."""
    store = SampleStore.create(out, RunSpec("s", "d", 0, "none", {}))
    generate(store, Flawed(), REQUESTS, **options)
    return store


def packed(out: Path) -> SampleStore:
    store = make(out)
    assert store.pack() == N
    return store


def content(store: SampleStore) -> dict[str, Any]:
    """All that a run's samples say, after decoding each."""
    status = store.status(N)
    for index in status.present:
        store.verify(index)
    told = {i: (asdict(store.record(i)), store.source(i).file_digest) for i in status.present}
    return {"status": status, "samples": told, "failures": {i: store.failure(i) for i in status.failed}}


def loose_bytes(store: SampleStore) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in store.samples.iterdir() if file.is_file()}


def only_pack(store: SampleStore) -> Path:
    (file,) = store.packs.files()
    return file


def edit(file: Path, change: Callable[[bytes], bytes]) -> None:
    """Write another version of a pack, which nobody but damage does."""
    file.write_bytes(change(file.read_bytes()))
    look_again()


def look_again() -> None:
    """As another process would."""
    pack_index.read_index.cache_clear()
    packs._merge_indices.cache_clear()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


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
    store, most = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {})), list[int]()

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


def child(work: Callable[[], object], first: int, error: int | None) -> tuple[int, int]:
    """Do work in a forked process whose `first`th call that writes kills it, or fails; its exit code and calls."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        count = 0

        def failing(real: Callable[..., Any], opens: bool) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal count
                if not (opens and not arguments[1] & (os.O_WRONLY | os.O_RDWR)):
                    count += 1
                    if count == first and error is None:
                        os._exit(9)
                    if count == first and error:
                        raise OSError(error, os.strerror(error))
                return real(*arguments, **named)

            return call

        write = os.write
        for name in CALLS:
            setattr(os, name, failing(getattr(os, name), name == "open"))
        code = 0
        try:
            work()
        except MMBenchError:
            code = 1
        except BaseException:
            code = 70
        write(writer, bytes([count]))
        os._exit(code)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    with open(reader, "rb") as told:
        return os.waitstatus_to_exitcode(status), (told.read() or b"\0")[0]


@pytest.mark.parametrize("error", [None, errno.ENOSPC])
@pytest.mark.parametrize("unpack", [False, True])
def test_killed_or_failing_at_any_step_it_loses_nothing_and_goes_on(
    tmp_path: Path, unpack: bool, error: int | None
) -> None:
    whole = make(tmp_path / "whole")
    before, files = content(whole), loose_bytes(whole)
    work = "unpack" if unpack else "pack"
    if unpack:
        whole.pack()
    for step in range(1, 200):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / str(step)) / whole.folder.name
        code, calls = child(getattr(SampleStore.open(folder), work), step, error)
        if code == 0 and calls < step:
            break
        assert code in ([9] if error is None else [0, 1]), (step, code)
        again = SampleStore.create(folder.parent, whole.run)
        assert content(again) == before, step
        assert getattr(again, work)() is not None
        assert content(again) == before, step
        assert loose_bytes(again) == (files if unpack else {}), step
        assert [file.name for file in again.samples.rglob("*") if "unfinished" in file.name] == [], step
    assert step > 15, "it was not disturbed"


def test_a_full_disk_is_said_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiskError, match=r"Cannot write to .*: No space left on device"):
        store.packs.pack(store.packs.loose())


def test_one_process_at_a_time_packs(tmp_path: Path) -> None:
    store = make(tmp_path)
    with SampleStore.open(store.folder).leases.hold(packs.PACKS):
        assert (store.pack(), store.unpack()) == (None, None)
        generate(store, Flawed(), REQUESTS)
    assert store.pack() == N


def test_two_that_pack_at_once_all_the_same_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(tmp_path)
    before = content(store)
    write_pack = packs.Packs._write_pack

    def late(self: packs.Packs, names: Sequence[str]) -> None:
        monkeypatch.setattr(packs.Packs, "_write_pack", write_pack)
        packs.Packs(store.samples).pack(store.packs.loose())
        write_pack(self, names)

    monkeypatch.setattr(packs.Packs, "_write_pack", late)
    store.packs.pack(store.packs.loose())
    assert (content(store), loose_bytes(store)) == (before, {})


READERS: Sequence[Callable[[SampleStore], Any]] = (
    lambda store: store.record(1),
    lambda store: store.failure(FAILING),
    lambda store: store.source(1).load().digest(),
    lambda store: store.source(1).file_digest,
    lambda store: store.find_damaged([1], decode=True),
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("unpack", [False, True])
def test_what_is_read_may_move_at_that_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpack: bool, read: Callable[[SampleStore], Any]
) -> None:
    store, find, moved = make(tmp_path), stored.find_stored, list[Path]()
    expected = read(store)
    if unpack:
        store.pack()

    def find_then_move(path: Path) -> Any:
        place = find(path)
        if not moved:
            moved.append(path)
            assert (store.unpack if unpack else store.pack)() == N
        return place

    monkeypatch.setattr(stored, "find_stored", find_then_move)
    assert (read(store), len(moved)) == (expected, 1)


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
    a, b = (SampleStore.create(tmp_path / name, RunSpec("s", "d", 0, "none", {})) for name in "ab")
    generate(a, Flawed(), REQUESTS, shard=loop.Shard(0, 2), pack=mine)
    generate(b, Flawed(), REQUESTS, shard=loop.Shard(1, 2), pack=theirs)
    assert a.merge(b) == 1
    found = content(a)["samples"]
    assert {i: x[1] for i, x in found.items()} == {i: x[1] for i, x in expected.items()}
    assert a.status(N).failed == [FAILING]
    assert (a.packs.loose() == {}) == theirs, "what was packed stays packed"
    assert a.merge(b) == 0


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
        with pytest.raises(MediaError, match=r"pack-000001-.*tar/000001.mkv"):
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


def test_media_without_a_record_stay(tmp_path: Path) -> None:
    store = make(tmp_path)
    (store.samples / "000009.mkv").write_bytes(b"being written")
    assert store.pack() == N
    assert list(loose_bytes(store)) == ["000009.mkv"]
    assert shlex.split(store.source(9).remedy)[:2] == ["rm", "-f"]
