"""A disk that fails at the n-th operation of a small run: full, over quota, read-only, gone, or broken.

    python -m tests.chaos.faults --seed 0 --count 12      # operations and errors drawn by seed; count 0 for all
    python -m tests.chaos.faults --count 0 --minutes 60   # as many of all as there is time for

Prints a line per fault, JSON. After each, the same command on a disk that is well again must give the very samples,
scores and table of a run that nothing happened to, and a command that failed must have said what was full.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.chaos.folder import DATASET, TABLE, failed
from tests.chaos.forked import command, warm
from tests.chaos.mutations import numbers

JOB = ("run", "--system", "fixture_system", *DATASET, "--metric", "fixture_metric", "-n", "2", "--workers", "1")
OPERATIONS = ("open", "write", "fsync", "replace", "rename", "link", "mkdir")
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.EIO)
PASSING = (errno.EIO,)  # errors of one operation; the others stay, as a full disk does


@dataclass(frozen=True)
class Fault:
    """An operation that failed, and what was wrong after it: "" if nothing was."""

    number: int
    operation: str
    error: str
    code: int | None
    wrong: str


class Disk:
    """The operating system's calls that write, of which those from the n-th on fail.

    Args:
        first: Number of the first that fails; 0 for none.
        error: Its `errno`.
        log: A file that gets the name of each operation.
    """

    def __init__(self, first: int, error: int, log: Path) -> None:
        self.first, self.error, self.count = first, error, 0
        self._log = open(log, "a", buffering=1)  # noqa: SIM115 - as long as the process

    def install(self) -> None:
        """Take the place of the calls in `os`."""
        for name in OPERATIONS:
            setattr(os, name, self._failing(name, getattr(os, name)))

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR):
                return real(*arguments, **named)
            self.count += 1
            print(name, file=self._log)
            late = self.count > self.first and self.error not in PASSING
            if self.first and (self.count == self.first or late):
                if name == "write":  # a disk is full in the middle of a write
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise OSError(self.error, os.strerror(self.error))
            return real(*arguments, **named)

        return call


def state_of(folder: Path) -> dict[str, Any]:
    """What a run left: digests of its samples' files, its scores and its table."""
    runs = folder / "runs"
    media = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(runs.glob("*/samples/*.mkv"))}
    scores = {p.name: p.read_text() for p in sorted(runs.glob("*/scores/*.jsonl"))}
    return {"media": media, "scores": scores, "table": numbers(command(folder, TABLE).out)}


def carry_out(seed: int, count: int, seconds: float) -> Iterator[Fault]:
    """Let operations fail, `count` of them, or each with every error if that is 0, until the time is up [s]."""
    warm()
    finish = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as place:
        whole, work, log = Path(place) / "whole", Path(place) / "work", Path(place) / "log"
        whole.mkdir()
        done = command(whole, JOB, Disk(0, 0, log).install)
        if done.code != 0:
            raise RuntimeError(done.err)
        operations, expected = log.read_text().split(), state_of(whole)
        every = [(n, error) for n in range(1, len(operations) + 1) for error in ERRORS]
        for number, error in random.Random(seed).sample(every, count or len(every)):
            if time.monotonic() > finish:
                return
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            done = command(work, JOB, Disk(number, error, log).install)
            wrong = ""
            if failed(done):
                wrong = f"it crashed: {done.err[-400:]}"
            elif done.code and os.strerror(error) not in done.err and "NUMBA_CACHE_DIR" not in done.err:
                wrong = f"it does not say what failed: {done.err}"
            elif command(work, JOB).code != 0:
                wrong = "it does not go on"
            elif state_of(work) != expected:
                wrong = "it goes on to something else"
            yield Fault(number, operations[number - 1], errno.errorcode[error], done.code, wrong)


def main() -> int:
    """Let operations fail as asked, print a line for each; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args()
    wrong = 0
    for fault in carry_out(asked.seed, asked.count, 60 * asked.minutes):
        print(json.dumps(asdict(fault)), flush=True)
        wrong += bool(fault.wrong)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
