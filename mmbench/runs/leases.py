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
    """A held lease."""

    table: LeaseTable
    path: Path

    def release(self) -> None:
        self.table.release(self.path)


class LeaseTable:
    """The leases of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: set[Path] = set()
        self._guard = threading.Lock()
        self._heart: threading.Thread | None = None

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
            beside = self.folder / f".{name}.{os.getpid()}"
            beside.write_text(json.dumps({**mine, "time": time.time()}))
            os.replace(beside, path)
        with self._guard:
            self._held.add(path)
            if self._heart is None:
                self._heart = threading.Thread(target=self._beat, daemon=True)
                self._heart.start()
        return Lease(self, path)

    def release(self, path: Path) -> None:
        with self._guard:
            self._held.discard(path)
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

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT)
            with self._guard:
                held = list(self._held)
            for path in held:
                try:
                    os.utime(path)
                except FileNotFoundError:
                    continue
