"""Ends the wait for a decoder that does not come back from a packet; between packets `mmbench.media.limits` stops it.

FFmpeg takes no interruption within a packet, so nothing ends such a decoder but the end of its process. It is left
behind in a thread of its own, and with it what it has decoded. A child that can be killed would take up to 0.7 times as
long again, for pictures have to come back from it: `scripts/time_decoder_processes.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import TIMEOUT_MAX, Thread
from typing import TypeVar

from mmbench.console import log
from mmbench.media.limits import Bounds

PATIENCE = 2  # times the limit of a file: one that is slow, but comes back, is refused between packets by then
T = TypeVar("T")


def run_watched(work: Callable[[], T], bounds: Bounds, files: int = 1) -> T:
    """What some work on files gives or raises, if it ends in time.

    Args:
        work: Called in a thread of its own.
        bounds: Of the first file.
        files: How many files it reads one after the other, each with the time of the first.

    Raises:
        MediaError: The work took `PATIENCE` times as long as the files may be decoded; it goes on in its thread.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=run, daemon=True)  # what hangs in it does not keep the process from ending
    thread.start()
    thread.join(min(PATIENCE * files * bounds.most["decoding"], TIMEOUT_MAX))
    if failed:
        raise failed.pop()  # not kept here, where its traceback would keep all that was decoded
    if not done:
        log.warning("%s: its decoder does not come back, and takes a core until this process ends.", bounds.path)
        bounds.check_clock()
    return done.pop()
