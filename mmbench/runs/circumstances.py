"""The circumstances of a process that worked on a run: machine, packages, revision, what was typed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmbench import __version__

PACKAGES = ("numpy", "scipy", "torch", "diffusers", "transformers", "opencv-python-headless", "librosa", "av")


@cache
def machine() -> dict[str, Any]:
    """The kind of machine this is: processor, cores, system, GPUs; nothing that names it."""
    cpu = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    found: dict[str, Any] = {"cpu": cpu, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"}
    torch = sys.modules.get("torch")  # only where the run used it: importing it here would cost a second
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return found


@cache
def packages() -> dict[str, str]:
    """Versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version(), "mmbench": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


CHECKOUT = Path(__file__).resolve().parents[2]  # of an installed package: site-packages


def in_checkout() -> bool:
    """Whether mmbench runs from a checkout of its repository, not from an installed copy."""
    return (CHECKOUT / ".git").exists()


@cache
def git_state() -> dict[str, Any] | None:
    """Revision of the checkout mmbench runs from and whether it was changed; None outside a checkout."""
    command = ["git", "-C", str(CHECKOUT)]
    try:
        if not in_checkout():
            return None
        revision = subprocess.run([*command, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
        status = subprocess.run([*command, "status", "--porcelain"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"revision": revision.stdout.strip(), "dirty": bool(status.stdout.strip())}


def invocation(command: list[str], resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The circumstances of one process that works on a run: what was typed, what it meant, where it ran."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": command,
        "resolved": dict(resolved),
        "git": git_state(),
        "packages": packages(),
        "machine": machine(),
    }
