"""Errors a user meets: what was found, what was expected, what to type next."""

from __future__ import annotations

import importlib
import re
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


class BusyError(MMBenchError):
    """Another live process is doing the same work."""


class IntegrityError(MMBenchError):
    """Stored data contradicts its own digest or record."""

    exit_code = 4


class MediaError(MMBenchError):
    """A media file cannot be read, or holds no usable video or audio."""


class NonFiniteError(MMBenchError):
    """A system produced NaN or infinity in its audio or video."""


def one_line(error: BaseException) -> str:
    """What somebody else's error says, on one line: the first of its text, without colours; else the error's kind."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().split("\n")[0]
    return "".join(c if c.isprintable() else "?" for c in plain)[:300] or type(error).__name__


def error_line(error: BaseException) -> str:
    """An error of a file being imported as one line: where it stands in that file or beside it, and what it is."""
    said = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {said}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<")]
    frames = [
        f for f in frames if Path(f.filename).parent not in (Path(__file__).parent, Path(importlib.__file__).parent)
    ]
    near = [f for f in frames if Path(f.filename).is_relative_to(Path(frames[0].filename).parent)]
    return f"{near[-1].filename}:{near[-1].lineno}: {said}" if near else said
