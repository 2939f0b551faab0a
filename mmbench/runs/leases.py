"""Leases: two processes never make the same sample, and a dead owner's lease is taken over.

A lease is a file with host, pid, process start and time. A live owner touches its leases every HEARTBEAT seconds. On
the owner's own host a lease is dead when that process is; elsewhere when it was not touched for STALE seconds.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmbench.files import write_whole

HEARTBEAT = 30.0  # [s]
STALE = 600.0  # [s] twenty heartbeats: longer than a paused virtual machine or a slow network disk


def process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot, which tells it from a later one with its pid; None if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:  # a system without /proc: the pid alone must do
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return "unknown"
    return None if fields[0] == "Z" else fields[19]  # a zombie makes nothing any more


@dataclass(frozen=True)
class Lease:
    """A lease that this process holds."""

    table: LeaseTable
    path: Path

    def release(self) -> None:
        """Give it back."""
        self.table.release(self.path)


class LeaseTable:
    """The leases in one folder.

    Args:
        folder: Where lease files lie; made when the first is acquired.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: set[Path] = set()
        self._guard = threading.Lock()
        self._at_rest: threading.Event | None = None  # ends the heartbeat; there is one while a lease is held

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.folder / ".lock", "a") as f:
            fcntl.flock(f, fcntl.LOCK_EX)  # the kernel drops it with the process
            yield

    @contextmanager
    def hold(self, name: str) -> Iterator[Lease | None]:
        """The lease called `name` for as long as the block takes, or None while a live process holds it."""
        lease = self.acquire(name)
        try:
            yield lease
        finally:
            if lease is not None:
                lease.release()

    def acquire(self, name: str) -> Lease | None:
        """The lease called `name`, or None while a live process holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        mine = {"host": socket.gethostname(), "pid": os.getpid(), "start": process_start(os.getpid())}
        with self._locked():
            if path.exists() and not self._is_dead(path):
                return None
            write_whole(path, json.dumps({**mine, "time": time.time()}).encode())
        with self._guard:
            self._held.add(path)
            if self._at_rest is None:
                self._at_rest = threading.Event()
                threading.Thread(target=self._touch_held, args=(self._at_rest,), daemon=True).start()
        return Lease(self, path)

    def release(self, path: Path) -> None:
        """Give a lease back; with the last one the heartbeat ends."""
        with self._guard:
            self._held.discard(path)
            if not self._held and self._at_rest is not None:
                self._at_rest.set()
                self._at_rest = None
        path.unlink(missing_ok=True)

    def owner(self, name: str) -> dict[str, object] | None:
        """Who holds `name`; None if nobody."""
        try:
            found: dict[str, object] = json.loads((self.folder / name).read_text())
        except (OSError, ValueError):
            return None
        return found

    def _is_dead(self, path: Path) -> bool:
        owner = self.owner(path.name)
        if owner is None:
            return True  # vanished, or torn by a full disk
        if owner.get("host") == socket.gethostname():
            pid = owner.get("pid")
            return not isinstance(pid, int) or process_start(pid) != owner.get("start")
        try:
            return time.time() - path.stat().st_mtime > STALE
        except FileNotFoundError:
            return True

    def _touch_held(self, at_rest: threading.Event) -> None:
        while not at_rest.wait(HEARTBEAT):
            with self._guard:
                held = list(self._held)
            for path in held:
                try:
                    os.utime(path)
                except FileNotFoundError:
                    continue
