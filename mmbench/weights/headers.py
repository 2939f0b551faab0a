"""The headers of checkpoint files: whether a file is whole, and which tensors it holds. No tensor is read."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError

TENSORS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
POINTER = b"version https://git-lfs"


def damage(path: Path) -> str:
    """The visible damage of a checkpoint or JSON file as text, such as "is cut off"; "" if there is none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(POINTER))
    if not size:
        return "is empty"
    if start == POINTER:
        return "is a pointer of Git LFS, not the file"
    if path.suffix == ".json":
        return _damaged_json(path)
    if path.suffix == ".safetensors":
        return _damaged_safetensors(path, size)
    if path.suffix in TENSORS and start.startswith(b"PK") and not zipfile.is_zipfile(path):
        return f"is cut off after {size:,} bytes: the directory at its end is missing"
    return ""


def _damaged_json(path: Path) -> str:
    try:
        json.loads(path.read_bytes())
    except ValueError as error:
        return f"is no JSON: {error}"
    return ""


def _damaged_safetensors(path: Path, size: int) -> str:
    try:
        begin, header = _safetensors_header(path)
        end = begin + max((value["data_offsets"][1] for value in header.values()), default=0)
    except (ValueError, LookupError, TypeError):
        return f"is no safetensors file, or cut off in its header ({size:,} bytes)"
    return "" if size == end else f"has {size:,} bytes, and its header tells of {end:,}"


def _safetensors_header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and what the header says of each."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, path.stat().st_size))
    header = json.loads(text)
    return 8 + length, {name: value for name, value in header.items() if name != "__metadata__"}


def read_meta(path: Path) -> dict[str, Any]:
    """Read the names and shapes of a checkpoint's tensors: tensors without values on the device "meta".

    Raises:
        IntegrityError: The file is damaged.
    """
    import torch

    if wrong := damage(path):
        raise IntegrityError(f"{path} {wrong}.", "a whole checkpoint")
    if path.suffix == ".safetensors":
        _, header = _safetensors_header(path)
        return {name: torch.empty(value["shape"], device="meta") for name, value in header.items()}
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"  # older ones are plain pickles, which cannot be mapped
    try:
        state: dict[str, Any] = torch.load(path, map_location="meta", weights_only=True, mmap=is_archive)
    except Exception as error:  # whatever a broken pickle raises
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise IntegrityError(f"{path} cannot be read: {reason}", "a whole checkpoint") from error
    return state


def total_bytes(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Bytes of tensors of these shapes in float32."""
    return 4 * sum(map(math.prod, shapes.values()))
