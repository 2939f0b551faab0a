"""Errors a user meets: what was found, what was expected, what to type next."""

from __future__ import annotations

import errno
import importlib
import os
import re
import shlex
import traceback
from pathlib import Path


class MMBenchError(Exception):
    """An error with a remedy; the command line prints it without a traceback.

    Args:
        found: What was found, one sentence.
        expected: What would have been right.
        next: The command or change to try next.
    """

    exit_code = 1

    def __init__(self, found: str, expected: str = "", next: str = "") -> None:
        super().__init__(found)
        self.found, self.expected, self.next = found, expected, next

    def __reduce__(self) -> tuple[type[MMBenchError], tuple[str, str, str]]:
        return type(self), (self.found, self.expected, self.next)  # crosses process pools whole

    def __str__(self) -> str:
        parts = [self.found]
        if self.expected:
            parts.append(f"expected: {self.expected}")
        if self.next:
            parts.append(f"try: {self.next}")
        return "\n".join(parts)


class UsageError(MMBenchError):
    """A wrong argument: unknown name, impossible number."""

    exit_code = 2


class IncompleteError(MMBenchError):
    """Work remains to be done: it was stopped by a signal, or some samples failed."""

    exit_code = 3


class StoppedError(IncompleteError):
    """A signal or a full disk ended the work; nothing that was to follow is tried."""


class DiskError(StoppedError, OSError):
    """A file or folder cannot be written: the disk is full, read-only or gone; also an OSError, with its number.

    Args:
        found: What cannot be written, and why.
        expected: What would have been right.
        next: The command or change to try next.
        number: As `errno` names it; None if it is not known.
    """

    def __init__(self, found: str, expected: str = "", next: str = "", number: int | None = None) -> None:
        super().__init__(found, expected, next)
        self.errno = number
        self.strerror = os.strerror(number) if number else found

    def __reduce__(self) -> tuple[type[DiskError], tuple[str, str, str, int | None]]:  # type: ignore[override]
        return type(self), (self.found, self.expected, self.next, self.errno)


class BusyError(MMBenchError):
    """Another live process is doing the same work."""


class IntegrityError(MMBenchError):
    """Stored data contradicts its own digest or record."""

    exit_code = 4


class MediaError(MMBenchError):
    """A media file cannot be read, or holds no usable video or audio."""


class NonFiniteError(MMBenchError):
    """A system produced NaN or infinity in its audio or video."""


class NoImport(Exception):
    """An import that exited, interrupted or took too long; its cause is what was raised in it."""


def explain(error: OSError) -> MMBenchError:
    """An error of the operating system that nobody has foreseen, as one of ours: which path, what to look at.

    A full disk gives an `IncompleteError`: what was done stays, and the same command continues.
    """
    path = error.filename if isinstance(error.filename, str | bytes | Path) else ""
    place = os.fsdecode(path) if path else ""
    reason = error.strerror or str(error) or type(error).__name__
    found = f"{place}: {reason}." if place else f"{reason}."
    seen = next((p for p in (Path(place), *Path(place).parents) if os.path.lexists(p)), Path())  # what a user may see
    quoted = shlex.quote(str(seen))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        folder = shlex.quote(str(Path(place).parent)) if place else "."
        return IncompleteError(found, "free space", f"df -h {folder}; the same command continues")
    if error.errno in (errno.EACCES, errno.EPERM):
        return MMBenchError(found, "permission to read and write there", f"ls -ld {quoted}")
    if error.errno == errno.EROFS:
        return MMBenchError(found, "a disk that can be written", "--out FOLDER")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return MMBenchError(found, "more open files", "ulimit -n 4096")
    if error.errno == errno.ENOENT:
        return MMBenchError(found, "files that stay where they are while they are read", f"ls -ld {quoted}")
    return MMBenchError(found, "", f"ls -ld {quoted}" if place else "mmbench doctor")


def explain_cache(error: RuntimeError) -> MMBenchError | None:
    """What numba says where no folder can keep what it compiles for librosa, as one of ours; None for other errors."""
    if "no locator available" not in str(error):
        return None
    found = "numba, which librosa needs, finds no folder that it can write to: a full or read-only disk, or no home."
    return IncompleteError(found, "a folder for what it compiles", "NUMBA_CACHE_DIR=/tmp/numba before the same command")


def one_line(error: BaseException) -> str:
    """What somebody else's error says, on one line: the first of its text, without colours; else the error's kind."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().split("\n")[0]
    return "".join(c if c.isprintable() else "?" for c in plain)[:300] or type(error).__name__


def error_line(error: BaseException) -> str:
    """An error of a file being imported as one line: where it stands in that file or beside it, and what it is."""
    said = str(error) if isinstance(error, NoImport) else traceback.format_exception_only(error)[-1].strip()
    error = error.__cause__ if isinstance(error, NoImport) and error.__cause__ else error
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {said}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<")]
    frames = [f for f in frames if Path(f.filename).parent != Path(__file__).parent]
    frames = [f for f in frames if not Path(f.filename).is_relative_to(Path(importlib.__file__).parent)]
    near = [f for f in frames if Path(f.filename).is_relative_to(Path(frames[0].filename).parent)]
    return f"{near[-1].filename}:{near[-1].lineno}: {said}" if near else said
