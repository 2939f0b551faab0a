"""How long chaos goes on, and what it found, for results/reliability."""

from __future__ import annotations

import json
import os
import platform
import random
import time
from pathlib import Path
from typing import Any


def minutes() -> float:
    """MMBENCH_CHAOS: how long what goes on by the clock goes on [minutes]; what is counted is then whole. 0 without."""
    return float(os.environ.get("MMBENCH_CHAOS") or 0)


def fresh_seed() -> int:
    """MMBENCH_CHAOS_SEED, or another one each time."""
    return int(os.environ.get("MMBENCH_CHAOS_SEED") or random.SystemRandom().randrange(2**31))


def peak_memory() -> int:
    """The most memory that this process has had [bytes], by the kernel's count of it.

    Not `ru_maxrss`: a process begins with that of the one that started it, which may be far above its own.
    """
    (line,) = (line for line in Path("/proc/self/status").read_text().split("\n") if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def note(what: str, **found: Any) -> None:
    """Append what was tried and found to the file that MMBENCH_CHAOS_RECORD names, if it names one."""
    if file := os.environ.get("MMBENCH_CHAOS_RECORD"):
        told = {"what": what, **found, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)}
        with Path(file).open("a") as lines:
            lines.write(json.dumps(told | machine) + "\n")
