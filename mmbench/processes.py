"""Processes that this one starts and that never outlive it, and the launcher that started this one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from mmbench.errors import MMBenchError, UsageError

OF_LAUNCHERS = (
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    *("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_LOCALID"),
)
BESIDE = "MMBENCH_PROCESSES"
T = TypeVar("T")
WATCH = 'read -r word; [ "$word" = done ] || kill -s KILL -- "-$1"'  # our end closes the pipe without a word


def leave_launcher(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let a launcher's process work for itself from now on, on the GPU that is its own among those of its machine."""
    if place := environ.get("LOCAL_RANK") or environ.get("SLURM_LOCALID"):
        import torch

        if count := torch.cuda.device_count():
            visible = environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
            environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[int(place) % count]
    for name in OF_LAUNCHERS:
        environ.pop(name, None)


def count_beside(environ: Mapping[str, str] = os.environ) -> int:
    """How many processes without ranks do one job side by side, this one included: MMBENCH_PROCESSES, else 1.

    Raises:
        UsageError: It is no whole number from 1.
    """
    text = environ.get(BESIDE, "1")
    if not (text.isdecimal() and int(text)):
        raise UsageError(f"{BESIDE} is {text!r}.", "how many processes do this job, from 1", f"unset {BESIDE}")
    return int(text)


def usable_cores(environ: Mapping[str, str] = os.environ) -> int:
    """How many cores this process may use: those the system or Slurm allows, shared with its launcher's others here."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    per_node = re.findall(r"(?<!x)\b\d+", environ.get("SLURM_STEP_TASKS_PER_NODE", ""))  # "4(x2),3": the most there
    here = environ.get("LOCAL_WORLD_SIZE") or max(map(int, per_node), default=1)
    if (allotted := environ.get("SLURM_CPUS_ON_NODE", "")).isdecimal():  # what the system allows may be our part of it
        return max(1, min(cores, int(allotted) // int(here)))
    return max(1, cores // int(here))


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes for the block; what is left of its tasks at the end is cancelled.

    Workers end with this process, however it ends, and leave Ctrl-C to it.

    Args:
        workers: How many.

    Raises:
        MMBenchError: A worker was killed.
    """
    pool = _Pool(workers, mp_context=get_context("spawn"), initializer=_end_with_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        found = "A worker process was killed, as a system does that runs out of memory; what was finished is kept."
        next = "the same command again, which continues, with fewer --workers"
        raise MMBenchError(found, f"memory for {workers} workers", next) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Pool(ProcessPoolExecutor):
    """A pool that Ctrl-C does not meet while it starts a process, which would be waited for and never told to end."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        with _interrupted_later():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block; processes that it starts do not hear it, even while they import."""
    heard: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number)) if main else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which processes inherit
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if main:
            signal.signal(signal.SIGINT, handler)
        if heard:
            signal.raise_signal(signal.SIGINT)


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
