"""A lease is held by one live process, and taken over from a dead one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mmbench.runs import leases
from mmbench.runs.leases import STALE, LeaseTable, process_start


def test_a_held_lease_cannot_be_acquired_until_released(tmp_path: Path) -> None:
    lease = LeaseTable(tmp_path).acquire("7")
    assert lease is not None
    assert LeaseTable(tmp_path).acquire("7") is None
    assert LeaseTable(tmp_path).acquire("8") is not None
    lease.release()
    assert LeaseTable(tmp_path).acquire("7") is not None


def test_a_lease_names_its_owner(tmp_path: Path) -> None:
    table = LeaseTable(tmp_path)
    assert table.owner("7") is None
    table.acquire("7")
    owner = table.owner("7")
    assert owner is not None
    assert (owner["host"], owner["pid"]) == (socket.gethostname(), os.getpid())
    assert abs(float(str(owner["time"])) - time.time()) < 60


def test_a_dead_process_lease_is_taken_over(tmp_path: Path) -> None:
    code = "import sys, pathlib, mmbench.runs.leases as m; m.LeaseTable(pathlib.Path(sys.argv[1])).acquire('7')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert (tmp_path / "7").exists()
    assert LeaseTable(tmp_path).acquire("7") is not None


def test_a_reused_pid_does_not_keep_a_lease_alive(tmp_path: Path) -> None:
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "start": "1", "time": time.time()}
    (tmp_path / "7").write_text(json.dumps(mine))
    assert process_start(os.getpid()) != "1"
    assert LeaseTable(tmp_path).acquire("7") is not None


def test_another_host_keeps_its_lease_while_it_beats(tmp_path: Path) -> None:
    path = tmp_path / "7"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "start": "1", "time": 0}))
    assert LeaseTable(tmp_path).acquire("7") is None
    old = time.time() - STALE - 1
    os.utime(path, (old, old))
    assert LeaseTable(tmp_path).acquire("7") is not None


def test_a_torn_lease_counts_as_dead(tmp_path: Path) -> None:
    (tmp_path / "7").write_text('{"host": "el')
    assert LeaseTable(tmp_path).acquire("7") is not None


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
