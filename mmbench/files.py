"""Files of ours: written whole or not at all, and, where they are JSON, with a checksum that is verified when read.

A JSON object ends with `"checksum"`, 16 hex digits of the sha256 of all that stands before it. What was written before
there were checksums is read without one. Lines are appended in one write; one that a kill or a full disk has cut off
is named when it is read, and goes before the next is appended. A file that a kill has left unfinished goes with the
next job in its folder.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from secrets import token_hex
from typing import Any

from mmbench.console import log
from mmbench.errors import DiskError, IntegrityError, UsageError
from mmbench.process_identity import is_gone, name_of_process

CHECKSUM = "checksum"
SEALED = re.compile(rb',\s*"([^"]*)": "([0-9a-f]{16})"\s*}\s*\Z')
UNFINISHED = ".unfinished"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of any failure to write in the block which file or folder it was about, and what to do.

    Raises:
        DiskError: The disk is full, or the place may not be written to.
    """
    try:
        yield
    except DiskError:
        raise
    except OSError as error:
        found = f"Cannot write to {path}: {error.strerror or error}."
        if error.errno in FULL:
            told = "free space there", "free some, then the same command again"
        else:
            told = "a place that can be written to, with free space", "mend that, then the same command again"
        raise DiskError(found, *told, error.errno) from error


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there; the one above it is synced; raises DiskError."""
    if path.is_dir():
        return
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # not every network disk can sync a folder
        _sync(path.parent)


def remove_unfinished(*folders: Path) -> None:
    """Remove what processes that were killed had begun to write in folders, not below them.

    A job calls it where another one may have finished what the killed one had begun; `write_whole` does so anyway, the
    first time that a process writes to a folder.
    """
    for folder in folders:
        with suppress(OSError):  # it is not there; and whoever may not remove anything there can still write
            for name in [name for name in os.listdir(folder) if name.endswith(UNFINISHED)]:
                if is_gone(name.removeprefix(".").rpartition("-")[0]):
                    (folder / name).unlink(missing_ok=True)


_remove_unfinished_once = lru_cache(1024)(remove_unfinished)


def write_whole(path: Path, data: bytes | memoryview | Callable[[Path], Any]) -> None:
    """Write a file that others see whole or not at all: under another name beside it, synced to the disk, then renamed.

    Args:
        path: The file, in a folder that exists; one that is there is replaced.
        data: Its content, or a function that writes the content to the path it is given.

    Raises:
        DiskError: It cannot be written; what was there before is there still.
    """
    _remove_unfinished_once(path.parent)
    beside = path.with_name(f".{name_of_process()}-{token_hex(4)}{UNFINISHED}")  # several may write the same file
    with writing(path):
        try:
            if callable(data):
                data(beside)
                _sync(beside)
            else:
                _write_synced(beside, data)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
    with suppress(OSError):  # not every network disk can sync a folder
        _sync(path.parent)


def _write_synced(path: Path, data: bytes | memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


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


def seal(whole: bytes) -> bytes:
    """The JSON text of an object that is not empty, with its checksum as the last member."""
    body = whole.removesuffix(b"}").rstrip()
    return body + f', "{CHECKSUM}": "{_digest(body)}"}}'.encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def unseal(data: bytes) -> Any:
    """The value of a JSON text without its checksum.

    Raises:
        ValueError: It is not JSON, or contradicts its checksum.
    """
    value = json.loads(data)
    found = SEALED.search(data)
    fits = found is not None and _digest(data[: found.start()]).encode() == found[2]
    named = isinstance(value, dict) and CHECKSUM in value
    if fits != named:  # whether the name, the checksum or anything else was changed
        raise ValueError("it contradicts its checksum")
    if named:
        del value[CHECKSUM]
    return value


def write_json(path: Path, value: Mapping[str, Any], indent: int | None = None) -> None:
    """Write an object as a JSON file with a checksum, whole or not at all; raises DiskError."""
    write_whole(path, seal(json_bytes(value, indent)))


def read_json(path: Path) -> Any:
    """A JSON file of ours.

    Raises:
        IntegrityError: It cannot be read, is not JSON, or contradicts its checksum.
    """
    return parse_json(partial(_read, path), str(path), f"rm {shlex.quote(str(path))}")


def parse_json(read: Callable[[], bytes], where: str, next: str = "") -> Any:
    """A JSON text of ours.

    Args:
        read: Gives it.
        where: What errors call it.
        next: What to type if it is damaged.

    Raises:
        IntegrityError: It cannot be read, is not JSON, or contradicts its checksum.
    """
    try:
        return unseal(read())
    except (ValueError, RecursionError, OSError) as error:
        raise _corrupt(where, error, next) from error


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file of bytes")  # a pipe, say, at which a reader would wait for ever
    return path.read_bytes()


def _corrupt(where: str, error: Exception, next: str) -> IntegrityError:
    if isinstance(error, OSError):
        return IntegrityError(f"{where} cannot be read: {error.strerror}.", "a file that may be read", f"ls -l {where}")
    return IntegrityError(f"{where} is corrupt: {error}.", "JSON as mmbench wrote it", next)


def read_lines(path: Path, again: str = "") -> list[dict[str, Any]]:
    """The objects of a file of JSON lines, none if there is no file; warns of a last line that was cut off.

    Lines are split at "\\n" alone: a prompt may hold U+2028, U+0085 or a form feed.

    Args:
        path: The file.
        again: What to type once a damaged line is deleted.

    Raises:
        IntegrityError: A line is damaged; names it.
    """
    try:
        whole = _read(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _corrupt(str(path), error, "") from error
    lines, values = whole.split(b"\n"), list[dict[str, Any]]()
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line:
            break
        try:
            value = unseal(line)
            if not isinstance(value, dict):
                raise ValueError("it is no JSON object")
        except (ValueError, RecursionError) as error:
            if number == len(lines) and isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
                log.warning("%s line %d was cut off and is left out", path, number)
                break
            delete = f"sed -i.damaged {number}d {shlex.quote(str(path))}" + (f" && {again}" if again else "")
            raise _corrupt(f"{path} line {number}", error, delete) from error
        values.append(value)
    return values


def has_checksums(path: Path) -> bool:
    """Whether all of a JSON file, or of a file of JSON lines, is covered by checksums; one that is not there is."""
    if not path.is_file():
        return True
    parts = path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
    return all(SEALED.search(part) for part in parts)


def format_lines(records: Sequence[Mapping[str, Any]]) -> bytes:
    """JSON lines, each with its checksum."""
    lines = (seal(json_bytes(record)) + b"\n" for record in records)
    return b"".join(lines)


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line in a single write, synced to the disk; raises as `append_lines`."""
    append_lines(path, [record])


def append_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Append JSON lines with checksums in a single write, synced to the disk; a last line that was cut off goes.

    Raises:
        DiskError: The disk is full, or the file may not be written; nothing of the lines is left in it.
    """
    lines = format_lines(records)
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            with suppress(OSError):  # not every network disk has locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            before = _end_last_line(descriptor, path)
            try:
                _write_all(descriptor, lines)
                os.fsync(descriptor)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)


def _end_last_line(descriptor: int, path: Path) -> int:
    """Let new lines follow whole ones; returns the length of the file [bytes]."""
    length = os.fstat(descriptor).st_size
    if not length or os.pread(descriptor, 1, length - 1) == b"\n":
        return length
    whole = os.pread(descriptor, length, 0)
    start = whole.rfind(b"\n") + 1
    try:
        unseal(whole[start:])
    except ValueError:
        log.warning("%s ended with a line that was cut off; it goes", path)
        os.ftruncate(descriptor, start)
        return start
    _write_all(descriptor, b"\n")
    return length + 1
