"""The streams of the command line: closed, full, abandoned by their reader, or of few characters."""

from __future__ import annotations

import io
import os
import sys

from mmbench.errors import MMBenchError

CLOSED = 141  # what a shell says of a program whose reader has gone: 128 and the number of SIGPIPE


def prepare_streams() -> None:
    """Let every text be printed, escaped where the terminal lacks a character; what is closed swallows all."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next file that is opened would be stdout
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Have all that was printed written now, where an error still becomes a message.

    Raises:
        BrokenPipeError: Its reader has gone.
        MMBenchError: It cannot be written.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MMBenchError(f"Cannot write to stdout: {error.strerror}.", "a place with room for it") from error


def abandon_broken_streams() -> None:
    """Turn streams that cannot be written to nothing, so that nothing is said of them when Python ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1 if stream is sys.stdout else 2)
