"""The headers of checkpoint files: whether a file is whole, and which tensors it holds. No tensor is read."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights.bounds import require_modest
from mmbench.weights.safetensors_header import HeaderError, read_header

TENSORS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
POINTER = b"version https://git-lfs"
LARGEST_JSON = 64 << 20  # [bytes]; a tokenizer's vocabulary has some 10 MB


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
        return _damaged_safetensors(path)
    if path.suffix in TENSORS and start.startswith(b"PK") and not zipfile.is_zipfile(path):
        return f"is cut off after {size:,} bytes: the directory at its end is missing"
    return ""


def require_whole(path: Path) -> None:
    """Refuse a checkpoint that is visibly damaged, or would fill the memory; no tensor is read.

    Raises:
        IntegrityError: It is damaged.
        MMBenchError: It is no file, or would unpack to far more than it is on disk.
    """
    if not path.is_file():
        raise MMBenchError(f"{path} is not a file.", "a checkpoint")
    require_modest(path)
    if wrong := damage(path):
        raise IntegrityError(f"{path} {wrong}.", "a whole checkpoint")


def _damaged_json(path: Path) -> str:
    if path.stat().st_size > LARGEST_JSON:
        return f"has {path.stat().st_size:,} bytes, and the limit for JSON is {LARGEST_JSON:,}"
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return f"is no JSON: {error}"
    return ""


def _damaged_safetensors(path: Path) -> str:
    try:
        read_header(path)
    except HeaderError as error:
        return str(error)
    return ""


def read_meta(path: Path) -> dict[str, Any]:
    """Read the names and shapes of a checkpoint's tensors: tensors without values on the device "meta".

    Raises:
        IntegrityError: The file is damaged.
    """
    import torch

    from mmbench.weights.pickles import load_pickle

    require_whole(path)
    if path.suffix == ".safetensors":
        shapes = read_header(path).shapes
        return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"  # older ones are plain pickles, which cannot be mapped
    try:
        return load_pickle(path, str(path), "meta", mmap=is_archive)
    except MMBenchError as error:
        raise IntegrityError(f"{path} cannot be read: {error.found}", error.expected, error.next) from error


def total_bytes(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Bytes of tensors of these shapes in float32."""
    return 4 * sum(map(math.prod, shapes.values()))
