"""Imports of other people's code that end no command: bounded in time, silent on stdout, every exit an error."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from mmbench.errors import NoImport

LIMIT_VARIABLE, LIMIT = "MMBENCH_PLUGIN_SECONDS", 120.0  # [s] for one import


class _TooLong(BaseException):
    """Raised in an import whose time is up; no `except Exception` of the import's own catches it."""


@contextmanager
def contained() -> Iterator[None]:
    """Import what others wrote in the block; what it prints goes to stderr, so that JSON on stdout stays JSON.

    Raises:
        NoImport: It took longer than MMBENCH_PLUGIN_SECONDS (in the main thread), or raised what is no Exception.
        KeyboardInterrupt: The user pressed Ctrl-C.
        Exception: Whatever the import raises.
    """
    seconds = _limit()
    interrupted = False

    def note(number: int, frame: Any) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def end(number: int, frame: Any) -> None:
        raise _TooLong

    main = threading.current_thread() is threading.main_thread()
    before = {n: signal.signal(n, f) for n, f in ((signal.SIGINT, note), (signal.SIGALRM, end)) if main}
    if main:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with redirect_stdout(sys.stderr):
            yield
    except _TooLong as error:
        raise NoImport(f"it took longer than {seconds:g} s ({LIMIT_VARIABLE})") from error
    except Exception:
        raise
    except BaseException as error:
        if interrupted:
            raise
        raise NoImport(traceback.format_exception_only(error)[-1].strip()) from error
    finally:
        if main:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _limit() -> float:
    """Seconds that one import may take."""
    try:
        return max(0.1, float(os.environ.get(LIMIT_VARIABLE, "")))
    except ValueError:
        return LIMIT
