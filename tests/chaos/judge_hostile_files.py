"""Reads all hostile files in one process of bounded memory, and prints what came of each as JSON lines."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.mmdisco.design import in_domain
from mmbench.mmdisco.discriminator import load_discriminator
from mmbench.weights.tensors import read_tensors
from tests.chaos.hostile_files import HostileFile, hostile_files
from tests.chaos.record import peak_memory

ROOM = 1 << 30  # [bytes] of address space beyond what the libraries take


def judge(file: HostileFile, path: Path) -> dict[str, Any]:
    """What reading a file raises."""
    try:
        if file.reader == "tensors":
            read_tensors(path, "*.ckpt")
        else:
            load_discriminator(path, None if file.name.startswith("config") else in_domain())
    except MMBenchError as error:
        return {"ours": True, "found": error.found, "expected": error.expected, "next": error.next}
    except BaseException as error:
        return {"ours": False, "found": f"{type(error).__name__}: {error}"}
    return {"ours": False, "found": "it was read"}


def main(folder: Path) -> None:
    """Make and read the files in `folder`."""
    read_tensors(folder / "whole.safetensors")  # so that the libraries are loaded before memory is bounded
    load = [line for line in Path("/proc/self/status").read_text().split("\n") if line.startswith("VmSize")]
    limit = 1024 * int(load[0].split()[1]) + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 30, 8 << 30))
    for file in hostile_files(str(folder / "mark")):
        path = folder / file.file
        if not path.exists() and not path.is_symlink():
            file.make(path)
        before = peak_memory()
        verdict = judge(file, path)
        grown = peak_memory() - before
        print(json.dumps({"name": file.name, "grown": grown, **verdict}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
