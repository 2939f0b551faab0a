"""The generation loop: resumes from what is on disk, shards without talking, and turns failures into records."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from random import SystemRandom

from mmbench.console import LAUNCHERS, log
from mmbench.errors import MediaError, MMBenchError, NonFiniteError, StoppedError, UsageError
from mmbench.progress import Progress, Stage
from mmbench.runs.exhausted import refuse_broken_machine, refuse_exhausted_device
from mmbench.runs.packs import MOST_SAMPLES
from mmbench.runs.store import SampleStore
from mmbench.types import Request, System

PAUSE = 0.5  # [s] between looks at what other processes do
ALIKE = 8  # failures of one reason in a row after which the next samples are not tried


@dataclass(frozen=True)
class Shard:
    """Part `rank` of `count`: the samples whose index leaves `rank` when divided by `count`."""

    rank: int = 0
    count: int = 1

    def __contains__(self, index: int) -> bool:
        return index % self.count == self.rank

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "0/2"; raises UsageError for anything else."""
        rank, slash, count = text.partition("/")
        if not (slash and rank.isdigit() and count.isdigit() and int(rank) < int(count)):
            raise UsageError(f"Shard {text!r}.", "RANK/COUNT with RANK from 0 to COUNT - 1", "--shard 0/2")
        return cls(int(rank), int(count))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Shard:
        """The shard that torchrun (RANK, WORLD_SIZE) or srun (SLURM_PROCID, SLURM_STEP_NUM_TASKS) assigned, or all."""
        for rank, count in LAUNCHERS:
            if rank in environ and count in environ:
                return cls.parse(f"{environ[rank]}/{environ[count]}")
        return cls()


class StopSignal:
    """Whether SIGTERM or SIGINT has asked for an end after the work in hand; a second SIGINT ends at once.

    Args:
        first: What is done before the end, in words.
    """

    def __init__(
        self, first: str = "the samples in hand are finished and stored first; Ctrl-C again leaves them"
    ) -> None:
        self.name, self.first = "", first

    @contextmanager
    def listening(self) -> Iterator[StopSignal]:
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def handle(number: int, _: object) -> None:
            if self.name and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.name = signal.Signals(number).name
            said = f"{self.name}: {self.first}"
            threading.Thread(target=log.warning, args=(said,)).start()  # a handler must not write to a stream itself

        before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Streak:
    """Failures in a row, recorded once it is sure that they are the samples' own: after a clip, or at the end.

    `ALIKE` of one reason in a row are the system's fault, not theirs.

    Args:
        store: Where they are recorded.
    """

    def __init__(self, store: SampleStore) -> None:
        self.store, self.reason, self.length = store, "", 0
        self._unsettled: list[tuple[Request, str, str]] = []

    def break_off(self) -> None:
        """A sample was made."""
        self.length = 0
        self.settle()

    def settle(self) -> None:
        """Record the failures."""
        for request, kind, reason in self._unsettled:
            self.store.fail(request, kind, reason)
        self._unsettled = []

    def note(self, request: Request, kind: str, reason: str) -> None:
        """A sample failed.

        Raises:
            StoppedError: As the last ones did; what failed so before the first clip is not recorded.
        """
        self.length = self.length + 1 if reason == self.reason else 1
        self.reason = reason
        self._unsettled.append((request, kind, reason))
        if self.store.made:
            self.settle()
        if self.length >= ALIKE:
            told = "" if self.store.made else "; no sample is marked as failed"
            again = " with --retry-failed" if self.store.made else ""
            self._unsettled = []
            raise StoppedError(
                f"{self.length} samples failed one after the other, each so: {reason}",
                f"samples of which most can be made{told}",
                f"mend that, then the same command{again}",
            )


def generate(
    store: SampleStore,
    system: System,
    requests: Sequence[Request],
    *,
    shard: Shard | None = None,
    batch_size: int = 1,
    retry_failed: bool = False,
    pack: bool = False,
    stage: Stage | None = None,
    stop: StopSignal | None = None,
    beside: bool = False,
) -> None:
    """Make the samples of `requests` that are neither stored nor being made by another process.

    Args:
        store: Where they go, and where it is read what is there.
        system: Makes them.
        requests: The run's first n samples; request i has index i.
        shard: The part of them that is ours; all by default.
        batch_size: Samples given to the system at once; it never changes a sample.
        retry_failed: Also try samples with a recorded failure, and look for damage in the content of those stored;
            a sample whose record or length is damaged is made again in any case.
        pack: Put finished samples into packs, a pack at a time, and what is left at the end.
        stage: Told of the samples in hand and of the finished ones.
        stop: Looked at between batches and after the last.
        beside: Other processes make samples of the same requests: return once all are made or failed, and make those
            of a process that died.

    Raises:
        StoppedError: By a signal, a full disk or one failure after the other; what was made is stored.
        MMBenchError: The system cannot work at all (weights missing, memory too small); nothing is recorded against
            the samples.
    """
    streak = Streak(store)
    stop, stage = stop or StopSignal(), stage or Progress(quiet=True).plan("generate", "", len(requests))
    status = store.status(len(requests))
    wanted = status.missing + (status.failed if retry_failed else [])
    mine = [i for i in status.present if shard is None or i in shard]
    for index, reason in store.find_damaged(mine, decode=retry_failed).items():
        log.warning("sample %d is damaged and made again: %s", index, reason)
        store.discard(index)
        wanted.append(index)
    store.leases.remove_dead(f"{i:06d}" for i in status.present)  # of processes that were killed after their work
    todo = [requests[i] for i in sorted(wanted) if shard is None or i in shard]
    stage.skip(sum(shard is None or r.index in shard for r in requests) - len(todo))
    if beside and todo:  # each begins elsewhere, or all would meet at the same samples
        place = SystemRandom().randrange(len(todo))
        todo = todo[place:] + todo[:place]
    _make_unclaimed(store, system, requests, todo, batch_size, streak, stage, stop, pack)
    streak.settle()
    while beside and (left := store.status(len(requests)).missing):
        unseen = Progress(quiet=True).plan("generate", "", len(left))  # they were counted when others held them
        before = store.made
        _make_unclaimed(store, system, requests, [requests[i] for i in left], batch_size, streak, unseen, stop, pack)
        streak.settle()  # else they would be missing for ever
        if store.made == before:
            time.sleep(PAUSE)
    _refuse_stopped(stop, store, len(requests))  # what would follow, such as scores, is not wanted either
    while pack and store.pack() is None:  # another process packs what it had found before these were made
        time.sleep(PAUSE)


def _make_unclaimed(
    store: SampleStore,
    system: System,
    requests: Sequence[Request],
    todo: Sequence[Request],
    batch_size: int,
    streak: Streak,
    stage: Stage,
    stop: StopSignal,
    pack: bool,
) -> None:
    """Make those of `todo` that no other process is at."""
    for start in range(0, len(todo), batch_size):
        _refuse_stopped(stop, store, len(requests))
        batch = todo[start : start + batch_size]
        with ExitStack() as leases:
            claimed = [r for r in batch if leases.enter_context(store.claim(r.index)) is not None]
            if claimed:
                stage.begin(len(claimed))
                _make(store, system, claimed, streak)
        if pack:
            store.pack(MOST_SAMPLES)
        stage.skip(len(batch) - len(claimed))
        if claimed:
            stage.advance(len(claimed))


def _refuse_stopped(stop: StopSignal, store: SampleStore, num: int) -> None:
    if stop.name:
        left = len(store.status(num).missing)
        raise StoppedError(
            f"Stopped by {stop.name} with {left} of {num} samples left; all finished ones are stored.",
            "",
            "the same command again continues",
        )


def _make(store: SampleStore, system: System, batch: Sequence[Request], streak: Streak) -> None:
    """Generate one batch; samples after a failing one are tried on their own, so that it takes no others with it."""
    done = 0
    started = time.monotonic()
    try:
        with redirect_stdout(sys.stderr):  # what a system prints is no result
            for request, clip in zip(batch, system.generate(batch), strict=True):
                store.commit(request, clip, time.monotonic() - started)
                streak.break_off()
                done += 1
                started = time.monotonic()
    except (NonFiniteError, MediaError) as error:
        kind = "non-finite" if isinstance(error, NonFiniteError) else "media"
        _isolate(store, system, batch, done, kind, error, streak)
    except MMBenchError:
        raise
    except (Exception, SystemExit) as error:  # a system is not to end the command
        if isinstance(error, Exception):
            refuse_exhausted_device(error, system, len(batch))
            refuse_broken_machine(error, system, first=not store.made)
        _isolate(store, system, batch, done, "error", error, streak)


def _isolate(
    store: SampleStore,
    system: System,
    batch: Sequence[Request],
    done: int,
    kind: str,
    error: Exception | SystemExit,
    streak: Streak,
) -> None:
    if done == len(batch):
        raise MMBenchError(f"The system failed after its last clip: {error}", "one clip per request") from error
    if len(batch) == 1:
        reason = f"{type(error).__name__}: {error}" if kind == "error" else str(error)
        log.warning("sample %d failed: %s", batch[0].index, reason)
        log.debug("", exc_info=error)
        streak.note(batch[0], kind, reason)
        return
    for request in batch[done:]:
        _make(store, system, [request], streak)
