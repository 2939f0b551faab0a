"""Which process this is: what tells it from every other, of other machines and of other times."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from pathlib import Path


def process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot, which tells it from a later one with its pid; None if gone."""
    if not 0 < pid < 1 << 31:
        return None
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


def this_place() -> dict[str, str]:
    """Where pids mean what they mean here: host, boot, and the namespace of pids, of which a container has its own."""
    place = {"host": socket.gethostname()}
    with suppress(OSError):
        place["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        place["pids"] = os.readlink("/proc/self/ns/pid")
    return place


def name_of_process() -> str:
    """This process as a part of a file's name: its place, pid and start."""
    return f"{_name_of_place()}-{os.getpid()}-{process_start(os.getpid())}"


def is_gone(name: str) -> bool:
    """Whether the process that called itself so has ended; of other places nobody here knows, so it has not."""
    place, pid, start = (*name.split("-"), "", "")[:3]
    return place == _name_of_place() and pid.isdecimal() and process_start(int(pid)) != start


def _name_of_place() -> str:
    return hashlib.sha256(repr(sorted(this_place().items())).encode()).hexdigest()[:8]
