"""Killed, out of disk, side by side: samples that move into packs or out of them are never lost."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import DiskError, MMBenchError
from mmbench.runs import generate as loop
from mmbench.runs import packs, stored
from mmbench.runs.generate import generate
from mmbench.runs.spec import make_requests
from mmbench.runs.store import SampleStore
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem
from tests.runs.packing import FAILING, REQUESTS, RUN, Flawed, N, content, loose_bytes, make

pytestmark = pytest.mark.usefixtures("fast_disk")
CALLS = ("open", "write", "fsync", "replace", "unlink", "mkdir", "rmdir")


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


@pytest.mark.parametrize("error", [None, pytest.param(errno.ENOSPC, marks=pytest.mark.thorough)])
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
        store.packs.pack(store.packs.loose(), lambda: True)


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

    def late(self: packs.Packs, names: Sequence[str], is_held: Callable[[], bool]) -> None:
        monkeypatch.setattr(packs.Packs, "_write_pack", write_pack)
        packs.Packs(store.samples).pack(store.packs.loose(), is_held)
        write_pack(self, names, is_held)

    monkeypatch.setattr(packs.Packs, "_write_pack", late)
    store.packs.pack(store.packs.loose(), lambda: True)
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


@pytest.mark.parametrize("unpack", [False, True])
def test_no_sample_is_missed_that_moves_while_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpack: bool
) -> None:
    store, listdir, moved = make(tmp_path), os.listdir, list[int]()
    expected = store.status(N)
    if unpack:
        store.pack()

    def move(path: Path) -> list[str]:
        if path != store.samples or moved:
            return listdir(path)
        moved.append(N)
        if unpack:
            names = listdir(path)
            store.unpack()
            return names
        store.pack()
        return listdir(path)

    monkeypatch.setattr(os, "listdir", move)
    assert (store.status(N), moved) == (expected, [N])


def test_two_that_generate_and_pack_and_one_that_reads_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (packs, loop):
        monkeypatch.setattr(place, "MOST_SAMPLES", 2)
    requests = make_requests(FixtureDataset(), 16, 0)
    store, made = SampleStore.create(tmp_path, RUN), tmp_path / "made"
    monkeypatch.setenv("FIXTURE_LOG", str(made))
    monkeypatch.setenv("FIXTURE_SECONDS", "0.02")
    children, before = [], set[int]()
    for _ in range(2):
        children.append(os.fork())
        if not children[-1]:
            try:
                generate(SampleStore.open(store.folder), FixtureSystem(), requests, pack=True)
                os._exit(0)
            finally:
                os._exit(70)
    while children:
        present = set(store.status(len(requests)).present)
        assert before <= present, "a sample that was there is there"
        for index in sorted(present)[-2:]:
            store.verify(index)
        before = present
        done, status = os.waitpid(children[-1], os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            children.pop()
    assert (store.find_damaged(range(len(requests)), decode=True), store.packs.loose()) == ({}, {})
    assert sorted(int(line.split()[0]) for line in made.read_text().splitlines()) == list(range(len(requests)))
