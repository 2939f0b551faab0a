"""The time and peak memory, of the process and of its GPU, that generating takes."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


class Usage:
    """A meter of time and peak memory that runs from its construction on; of this process alone, models included."""

    def __init__(self) -> None:
        self._started, self._cpu = time.monotonic(), time.process_time()
        with suppress(OSError):  # elsewhere than on Linux the peak is that of the whole process
            Path("/proc/self/clear_refs").write_text("5")
        if torch := _with_gpu():
            torch.cuda.reset_peak_memory_stats()

    def report(self) -> dict[str, Any]:
        """Seconds, cpu_seconds of all threads, peak_memory_bytes (resident), on a GPU peak_gpu_bytes (torch's)."""
        spent = {"seconds": time.monotonic() - self._started, "cpu_seconds": time.process_time() - self._cpu}
        found = {name: round(value, 3) for name, value in spent.items()} | {"peak_memory_bytes": _peak_resident()}
        if torch := _with_gpu():
            found["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
        return found


def _with_gpu() -> Any:
    """torch, if this process has imported it and it has a GPU."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_available() else None


def _peak_resident() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
