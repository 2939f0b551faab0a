"""The state of the GPU: clocks, power, temperature, driver, and the versions of what computes on it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

FIELDS = ("name", "driver_version", "clocks.sm", "clocks.mem", "power.draw", "power.limit", "temperature.gpu")


def gpu_state() -> dict[str, Any] | None:
    """What nvidia-smi says of the GPU that torch computes on, and torch's CUDA and cuDNN; None without a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    found = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    uuid = getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", None)
    which = [f"--id=GPU-{uuid}"] if uuid else []
    command = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits", *which]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return found  # a container may lack it
    return found | dict(zip(FIELDS, map(str.strip, done.stdout.splitlines()[0].split(",")), strict=True))
