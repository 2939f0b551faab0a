"""Files that are whole or absent: written beside and renamed, lines appended in one write."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from threading import get_ident
from typing import Any

from mmbench.errors import IncompleteError, IntegrityError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or absent: beside, synced, renamed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")  # threads may write the same content at once
    try:
        with open(beside, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line in a single write."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        with open(path, "ab") as f:
            f.write(line.encode())
            f.flush()
            os.fsync(f.fileno())
    except OSError as error:
        found = f"Cannot write to {path}: {error.strerror}."
        raise IncompleteError(found, "free space, and permission", "free some, then the same command again") from error


def read_json(path: Path) -> Any:
    """A JSON file of ours; unreadable content raises IntegrityError naming it."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"{path} is corrupt: {error}.", "JSON as mmbench wrote it", f"rm {path}") from error
