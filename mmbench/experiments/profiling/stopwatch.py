"""Takes times and peak memory of things that are compared: in one process, in turn, in alternating order.

A GPU is waited for at both ends of an interval. Every arm is run for some time before its rounds count, so that clocks,
caches and the choice of kernels have settled. An arm that needs more memory than there is becomes a line of the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mmbench.runs.exhausted import is_out_of_memory
from mmbench.runs.usage import Usage

Lap = Callable[[str], None]
Arm = Callable[[Lap], None]  # does its work once and calls lap with a name at the end of each interval
WARM_UP = 2.0  # seconds of each arm on a GPU before its rounds count, and one call at least


@dataclass
class Stopwatch:
    """Intervals by name, one per round, and the peak memory within them.

    Args:
        clock: Seconds that have passed; `time.process_time` on a machine that others use, too.
    """

    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, dict[str, int]] = field(default_factory=dict)
    out_of_memory: dict[str, str] = field(default_factory=dict)
    _begin: float = field(default=0.0, init=False)
    _usage: Usage = field(default_factory=Usage, init=False)

    def start(self) -> None:
        """Begin the next interval."""
        wait_for_gpu()
        self._usage = Usage()
        self._begin = self.clock()

    def lap(self, name: str) -> None:
        """End the interval, whose name this is ("" for none), and begin the next."""
        wait_for_gpu()
        end = self.clock()
        if name:
            self.seconds.setdefault(name, []).append(end - self._begin)
            peaks, before = self._usage.report(), self.memory.setdefault(name, {})
            before |= {k: max(v, before.get(k, 0)) for k, v in peaks.items() if k.startswith("peak")}
        self.start()


def wait_for_gpu() -> None:
    """Waits until the GPU, if there is one, has done what it was given."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def time_arms(arms: Mapping[str, Arm], runs: int, watch: Stopwatch, warm_up: float = 0.0) -> None:
    """Times arms round after round, in alternating order: the last of a round is the first of the next.

    Args:
        arms: What to time, by name.
        runs: Rounds that count.
        watch: Takes the times; an arm that is out of memory stands in its `out_of_memory` and is left out.
        warm_up: Seconds of each arm before, one call at least.
    """
    able = dict(arms)

    def attempt(name: str, lap: Lap) -> None:
        watch.start()
        try:
            able[name](lap)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            watch.out_of_memory[name] = str(error).partition("\n")[0]
            del able[name]
            free_memory()

    for name in arms:
        begin = time.monotonic()
        attempt(name, lambda _: watch.start())
        while name in able and time.monotonic() - begin < warm_up:
            attempt(name, lambda _: watch.start())
    for k in range(runs):
        for name in list(able) if k % 2 == 0 else list(reversed(able)):
            attempt(name, watch.lap)


def free_memory() -> None:
    """Gives back what nothing refers to any more: to the process, and on a GPU to other allocations."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
