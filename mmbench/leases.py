"""Leases: two processes never make the same sample, and a dead owner's lease is taken over.

A lease is a file that says which process holds it: host, boot, namespace of pids, pid and start. A live owner touches
its leases every HEARTBEAT seconds. Where all but pid and start are our own, a lease is dead when that process is. Any
other lease, one that cannot be read or with a time in the future included, is dead once its time is STALE seconds from
now. Both times are the file system's: hosts need not agree on the time of day.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from uuid import uuid4

from mmbench.errors import IntegrityError
from mmbench.files import make_folder, read_json, write_json, writing
from mmbench.process_identity import process_start, this_place

HEARTBEAT = 30.0  # [s]
STALE = 600.0  # [s] twenty heartbeats: longer than a paused virtual machine or a slow network disk
LOOK = 2.0  # [s] between looks at a lease that is waited for


@dataclass(frozen=True)
class Lease:
    """A lease that this process holds."""

    table: LeaseTable
    path: Path

    def is_held(self) -> bool:
        """Whether it is still this process's: one that slept too long may find that another took it over."""
        return self.table.is_held(self.path)

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
        self._held: dict[Path, str] = {}  # to the token that the lease has while it is ours
        self._guard = threading.Lock()
        self._at_rest: threading.Event | None = None  # ends the heartbeat; there is one while a lease is held

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with writing(self.folder):
            descriptor = os.open(self.folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            with suppress(OSError):  # not every network disk has locks; samples made twice are equal
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # the kernel drops it with the process
            yield
        finally:
            os.close(descriptor)

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
        make_folder(self.folder)
        path = self.folder / name
        if path.exists() and not self._is_dead(path):  # without the lock, at which hundreds of processes would queue
            return None
        mine = {**this_place(), "pid": os.getpid(), "start": process_start(os.getpid()), "token": uuid4().hex}
        with self._locked():
            if path.exists() and not self._is_dead(path):
                return None
            write_json(path, {**mine, "time": time.time()})
        with self._guard:
            self._held[path] = str(mine["token"])
            if self._at_rest is None:
                self._at_rest = threading.Event()
                threading.Thread(target=self._touch_held, args=(self._at_rest,), daemon=True).start()
        return Lease(self, path)

    def await_silence(self, name: str) -> Lease | None:
        """The lease called `name` once its owner was silent as long as the dead are; None if it shows that it lives."""
        before = self._last_beat(name)
        while (lease := self.acquire(name)) is None:
            if self._last_beat(name) != before:
                return None
            time.sleep(LOOK)
        return lease

    def _last_beat(self, name: str) -> float:
        try:
            return (self.folder / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def is_held(self, path: Path) -> bool:
        """Whether this table holds a lease that no other process took over meanwhile; one out of reach is not held."""
        with self._guard:
            token = self._held.get(path)
        return token is not None and self._has_token(path, token)

    def release(self, path: Path) -> None:
        """Give a lease back, unless another process took it over meanwhile; with the last one the heartbeat ends."""
        with self._guard:
            token = self._held.pop(path, "")
            if not self._held and self._at_rest is not None:
                self._at_rest.set()
                self._at_rest = None
        with suppress(OSError):  # a lease that stays is dead with its process
            if self._has_token(path, token):
                path.unlink(missing_ok=True)

    def _has_token(self, path: Path, token: str) -> bool:
        """Whether a lease is still what this process wrote: one that slept too long finds another's."""
        return (self.owner(path.name) or {}).get("token") == token

    def remove_dead(self, names: Iterable[str]) -> None:
        """Remove those of the leases called `names` whose owner is dead."""
        there = {path.name for path in self.folder.glob("*")}
        for path in [self.folder / name for name in names if name in there]:
            with self._locked(), suppress(OSError):
                if self._is_dead(path):
                    path.unlink(missing_ok=True)

    def owner(self, name: str) -> dict[str, object] | None:
        """Who holds `name`; None if nobody, or if it cannot be read."""
        try:
            found = read_json(self.folder / name)
        except IntegrityError:
            return None
        return found if isinstance(found, dict) else None

    @staticmethod
    def is_here(owner: Mapping[str, object]) -> bool:
        """Whether the system here can tell if an owner lives: it says which process it is, and its place is this."""
        here = this_place()
        told = {key: owner[key] for key in here if key in owner}  # older leases say the host alone
        same = "host" in told and told == {key: here[key] for key in told}
        return same and type(owner.get("pid")) is int and isinstance(owner.get("start"), str)

    def _is_dead(self, path: Path) -> bool:
        owner = self.owner(path.name) or {}
        if self.is_here(owner):
            return process_start(cast(int, owner["pid"])) != owner["start"]
        try:
            return abs(self._now() - path.stat().st_mtime) > STALE
        except FileNotFoundError:
            return True

    def _now(self) -> float:
        """The time [s] of the disk that the leases lie on, which other hosts' clocks do not change."""
        clock = self.folder / ".clock"
        try:
            clock.touch()
            return clock.stat().st_mtime
        except OSError:  # a disk that cannot be written to: nothing is taken over on it
            return time.time()

    def _touch_held(self, at_rest: threading.Event) -> None:
        while not at_rest.wait(HEARTBEAT):
            with self._guard:
                held = list(self._held.items())
            for path, token in held:
                with suppress(OSError):  # gone, or a disk that is away for a while: the next beat may reach it
                    if self._has_token(path, token):
                        os.utime(path)
