"""A lease is held by one live process, and taken over from a dead one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mmbench import leases
from mmbench.leases import STALE, LeaseTable
from mmbench.process_identity import process_start, this_place


def test_a_held_lease_cannot_be_acquired_until_released(tmp_path: Path) -> None:
    lease = LeaseTable(tmp_path).acquire("7")
    assert lease is not None
    assert LeaseTable(tmp_path).acquire("7") is None
    assert LeaseTable(tmp_path).acquire("8") is not None
    lease.release()
    assert LeaseTable(tmp_path).acquire("7") is not None


def test_a_lease_is_held_until_it_is_released_or_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = LeaseTable(tmp_path).acquire("7")
    assert first is not None
    assert first.is_held()
    monkeypatch.setattr(LeaseTable, "_is_dead", lambda self, path: True)  # as after a long sleep
    second = LeaseTable(tmp_path).acquire("7")
    assert second is not None
    assert (first.is_held(), second.is_held()) == (False, True)
    second.release()
    assert (first.is_held(), second.is_held()) == (False, False)


def test_a_lease_names_its_owner(tmp_path: Path) -> None:
    table = LeaseTable(tmp_path)
    assert table.owner("7") is None
    table.acquire("7")
    owner = table.owner("7")
    assert owner is not None
    assert (owner["host"], owner["pid"]) == (socket.gethostname(), os.getpid())
    assert abs(float(str(owner["time"])) - time.time()) < 60


def test_a_dead_process_lease_is_taken_over(tmp_path: Path) -> None:
    code = "import sys, pathlib, mmbench.leases as m; m.LeaseTable(pathlib.Path(sys.argv[1])).acquire('7')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert (tmp_path / "7").exists()
    assert LeaseTable(tmp_path).acquire("7") is not None


def test_a_reused_pid_does_not_keep_a_lease_alive(tmp_path: Path) -> None:
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "start": "1", "time": time.time()}
    (tmp_path / "7").write_text(json.dumps(mine))
    assert process_start(os.getpid()) != "1"
    assert LeaseTable(tmp_path).acquire("7") is not None


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_host_whose_clock_is_wrong_takes_nothing_from_the_living(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "7").write_text(json.dumps({"host": "elsewhere", "pid": 1, "start": "1", "time": 0}))
    now = time.time()
    monkeypatch.setattr(leases.time, "time", lambda: now + 3600 * hours)
    assert LeaseTable(tmp_path).acquire("7") is None
    os.utime(tmp_path / "7", (now - STALE - 1, now - STALE - 1))
    assert LeaseTable(tmp_path).acquire("7") is not None


def test_another_host_keeps_its_lease_while_it_beats(tmp_path: Path) -> None:
    path = tmp_path / "7"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "start": "1", "time": 0}))
    assert LeaseTable(tmp_path).acquire("7") is None
    old = time.time() - STALE - 1
    os.utime(path, (old, old))
    assert LeaseTable(tmp_path).acquire("7") is not None


def test_a_lease_of_elsewhere_is_waited_for_until_its_owner_is_silent_or_shows_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "STALE", 1.0)
    monkeypatch.setattr(leases, "LOOK", 0.02)
    table, path = LeaseTable(tmp_path), tmp_path / "7"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "start": "1"}))
    assert not table.is_here(table.owner("7") or {})
    beat = threading.Timer(0.3, os.utime, (path,))
    beat.start()
    assert table.await_silence("7") is None
    begun = time.monotonic()
    lease = table.await_silence("7")
    assert lease is not None
    assert time.monotonic() - begun > 0.5
    assert table.is_here(table.owner("7") or {})


HOLDER = """
import sys, time
from pathlib import Path
from mmbench import leases
leases.HEARTBEAT = 0.2
lease = leases.LeaseTable(Path(sys.argv[1])).acquire("7")
print("held", flush=True)
sys.stdin.readline()
lease.release()
print("released", flush=True)
"""


def in_another_place(folder: Path) -> subprocess.Popen[str]:
    """A process that holds lease 7 in a namespace of pids of its own, as a container has, until it is told to end."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    command = [*unshare, sys.executable, "-c", HOLDER, str(folder)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, process_group=0)
    assert process.stdout is not None
    if process.stdout.readline() != "held\n":
        pytest.skip(f"no namespaces of pids here: {process.communicate()[1].strip()}")
    return process


def test_what_is_asleep_in_another_container_loses_its_lease_and_does_no_harm_when_it_wakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "STALE", 1.5)
    with in_another_place(tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        time.sleep(2.5)
        assert LeaseTable(tmp_path).acquire("7") is None, "it is slow, and alive"
        os.killpg(process.pid, signal.SIGSTOP)
        deadline, mine = time.monotonic() + 30, None
        while mine is None and time.monotonic() < deadline:
            time.sleep(0.3)
            mine = LeaseTable(tmp_path).acquire("7")
        assert mine is not None
        os.killpg(process.pid, signal.SIGCONT)
        ours = mine.path.read_bytes()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "released\n"
        assert mine.path.read_bytes() == ours, "it is ours, not theirs to give back"
        mine.release()
        assert not mine.path.exists()


HERE = this_place()
MINE = {**HERE, "pid": os.getpid(), "start": process_start(os.getpid()), "time": 0}
ODD: dict[str, object] = {
    "torn": '{"host": "el',
    "empty": "",
    "null": None,
    "a number": 3.5,
    "a list": ["host"],
    "an object in a list": [MINE],
    "no pid": {**MINE, "pid": None},
    "pid -1": {**MINE, "pid": -1},
    "pid 0": {**MINE, "pid": 0},
    "a huge pid": {**MINE, "pid": 10**30},
    "a float": {**MINE, "pid": float(os.getpid())},
    "a text": {**MINE, "pid": str(os.getpid())},
    "true": {**MINE, "pid": True},
    "no start": {**MINE, "start": None},
    "no start, dead": {"host": HERE["host"], "pid": 2**22 + 1, "start": None, "time": 0},
    "another boot": {**MINE, "boot": "another"},
    "another namespace of pids, with our pid": {**MINE, "pids": "pid:[1]"},
    "another host": {**MINE, "host": "elsewhere"},
}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("ahead", [-1, 1])
def test_whatever_a_lease_says_it_is_taken_over_after_the_stated_time(
    what: str, ahead: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "7"
    content = ODD[what]
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    time_then = time.time() + ahead * (STALE + 60)  # untouched for long, or by a clock that is ahead
    os.utime(path, (time_then, time_then))
    lease = LeaseTable(tmp_path).acquire("7")
    assert lease is not None
    assert LeaseTable(tmp_path).acquire("7") is None, "it is ours now"
    lease.release()
    assert not path.exists()


@pytest.mark.parametrize("what", ["another boot", "another namespace of pids, with our pid", "another host", "torn"])
def test_what_cannot_be_looked_up_keeps_its_lease_while_it_beats(what: str, tmp_path: Path) -> None:
    content = ODD[what]
    (tmp_path / "7").write_text(content if isinstance(content, str) else json.dumps(content))
    assert LeaseTable(tmp_path).acquire("7") is None


def test_a_flipped_bit_in_the_lease_of_a_living_process_gives_it_to_nobody_else(tmp_path: Path) -> None:
    lease = LeaseTable(tmp_path).acquire("7")
    assert lease is not None
    whole = lease.path.read_bytes()
    lease.path.write_bytes(whole.replace(str(os.getpid()).encode(), str(os.getpid() ^ 1).encode(), 1))
    assert LeaseTable(tmp_path).acquire("7") is None
    lease.path.write_bytes(whole)
    lease.release()


def test_leases_that_the_dead_left_behind_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    table = LeaseTable(tmp_path)
    held = table.acquire("1")
    assert held is not None
    (tmp_path / "0").write_text(json.dumps({**MINE, "pid": 2**22 + 1}))
    table.remove_dead(["0", "1", "2"])
    assert sorted(p.name for p in tmp_path.glob("[0-9]")) == ["1"]
    held.release()


def test_a_lease_is_touched_while_held_and_the_heartbeat_ends_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched, before = threading.Event(), set(threading.enumerate())
    monkeypatch.setattr(leases, "HEARTBEAT", 0.01)
    monkeypatch.setattr(leases.os, "utime", lambda path: touched.set())
    table = LeaseTable(tmp_path)
    for _ in range(2):  # given back and taken again
        first, second = table.acquire("7"), table.acquire("8")
        assert first is not None
        assert second is not None
        (heart,) = set(threading.enumerate()) - before
        first.release()
        touched.clear()
        assert touched.wait(60)  # the other lease still beats
        second.release()
        heart.join(60)
        assert not heart.is_alive()


def test_the_heart_of_a_living_owner_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT", 0.01)
    table = LeaseTable(tmp_path)
    first, second = table.acquire("7"), table.acquire("8")
    assert first is not None
    assert second is not None
    old = time.time() - STALE - 1
    for path in (tmp_path / "7", tmp_path / "8"):
        os.utime(path, (old, old))
    end = time.monotonic() + 60
    while min(path.stat().st_mtime for path in (tmp_path / "7", tmp_path / "8")) < old + STALE:
        assert time.monotonic() < end, "a held lease was not touched: another host would take it over"
        time.sleep(0.01)
    first.release()
    os.utime(tmp_path / "8", (old, old))
    while (tmp_path / "8").stat().st_mtime < old + STALE:
        assert time.monotonic() < end, "a released lease stopped the heart of the others"
        time.sleep(0.01)
    assert not (tmp_path / "7").exists()
