"""Processes that this one starts and that never outlive it: pools of workers, and groups of other people's programs."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess

from mmbench.errors import MMBenchError

WATCH = 'read -r word; [ "$word" = done ] || kill -s KILL -- "-$1"'  # our end closes the pipe without a word


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes for the block; what is left of its tasks at the end is cancelled.

    Workers end with this process, however it ends, and leave Ctrl-C to it.

    Args:
        workers: How many.

    Raises:
        MMBenchError: A worker was killed.
    """
    pool = ProcessPoolExecutor(workers, mp_context=_Deaf(), initializer=_end_with_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        found = "A worker process was killed, as a system does that runs out of memory; what was finished is kept."
        next = "the same command again, which continues, with fewer --workers"
        raise MMBenchError(found, f"memory for {workers} workers", next) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _DeafProcess(SpawnProcess):
    """A fresh process that does not hear Ctrl-C from its first moment on: while it imports, it would print where."""

    def start(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which it inherits
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Deaf(SpawnContext):
    Process = _DeafProcess  # type: ignore[assignment]


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_await_end_of_parent, daemon=True).start()


def _await_end_of_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def ending_with_us(group: int) -> Iterator[None]:
    """Let a process group be killed if this process dies in the block, be it by SIGKILL: a shell waits for that."""
    watch = subprocess.Popen(
        ["sh", "-c", WATCH, "sh", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watch.communicate(b"done\n")
