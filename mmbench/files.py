"""Files that are whole or absent whatever is interrupted: written beside and renamed, lines appended in one write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from mmbench.errors import IncompleteError, IntegrityError, UsageError


def write_whole(path: Path, data: bytes | Callable[[Path], Any]) -> None:
    """Write a file that others see whole or not at all: under another name beside it, synced to the disk, then renamed.

    Args:
        path: The file, in a folder that exists; one that is there is replaced.
        data: Its content, or a function that writes the content to the path it is given.
    """
    beside = path.with_name(f".{path.name}.{token_hex(4)}")  # other threads and hosts may write the same file
    try:
        if callable(data):
            data(beside)
        else:
            beside.write_bytes(data)
        _sync(beside)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every network disk can sync a folder
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def expand_user(path: str | Path) -> Path:
    """A path with the home folder that a leading ~ or ~NAME stands for.

    Raises:
        UsageError: There is no such user, or no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        found = f"There is no home folder for {Path(path).parts[0]!r} of {str(path)!r}."
        raise UsageError(found, "a user of this machine, or HOME set", "the path without ~") from error


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """A value as JSON in UTF-8; where a text holds half a surrogate pair, as names of files may, in ASCII.

    Raises:
        ValueError: A number is NaN or infinite.
    """
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, allow_nan=False).encode()


def read_lines(path: Path) -> list[str]:
    """The lines of a file of JSON lines; not `str.splitlines`, for a prompt may hold U+2028, U+0085 or a form feed."""
    text = path.read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n") if text else []


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line in a single write, synced to the disk."""
    append_lines(path, [record])


def append_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Append JSON lines in a single write, synced to the disk.

    Raises:
        IncompleteError: The disk is full, or the file may not be written.
    """
    lines = b"".join(json_bytes(record) + b"\n" for record in records)
    try:
        with open(path, "ab") as f:
            f.write(lines)
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
