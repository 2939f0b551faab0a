"""Clips decoded ahead of the networks that wait for them: each once, in threads here or in the processes that pay."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mmbench.errors import MMBenchError
from mmbench.features.content import Content
from mmbench.processes import worker_pool
from mmbench.types import Clip, ClipSource, Extractor, Features

CHUNK = 16  # clips per task: contiguous, so that cuts of one long video share its decoding
TASK_BYTES = 64 << 20  # of clips that come back from a task, unless a single one has more
POOL_PAYS_AFTER = 8.0  # [s] of work left; starting workers costs a few seconds of imports each
THREADS = 2  # that decode while networks compute, where no pool pays


@dataclass(frozen=True)
class Job:
    """A clip to decode, and what to do with it where it is decoded.

    Attributes:
        place: Which sample it is.
        source: Where to get it.
        extractors: Those that take single clips.
        describe: Whether to say what it holds.
        keep: Whether the clip itself is wanted, for networks.
    """

    place: int
    source: ClipSource
    extractors: Sequence[Extractor]
    describe: bool
    keep: bool


@dataclass(frozen=True)
class Decoded:
    """What became of a job.

    Attributes:
        place: Which sample it is.
        results: Features, or why there are none, for each of its extractors.
        content: What the clip holds, if that was asked for.
        clip: The clip, if it was asked for.
        unreadable: Why it could not be decoded; "" if it could.
        seconds: What it took.
        size: Of the clip in memory [bytes].
    """

    place: int
    results: list[Features | str]
    content: Content | None = None
    clip: Clip | None = None
    unreadable: str = ""
    seconds: float = 0.0
    size: int = 0


def say(error: Exception) -> str:
    """Why a clip has no features, in one line."""
    return error.found if isinstance(error, MMBenchError) else f"{type(error).__name__}: {error}"


def decode_ahead(jobs: Sequence[Job], workers: int, ahead: int) -> Iterator[Decoded]:
    """Decode clips, in order: here until it is known what one costs, then in a pool if enough work is left.

    Args:
        jobs: The clips.
        workers: Processes of the pool.
        ahead: Clips decoded, and not yet taken, while whoever takes them computes; workers are at as many more.
    """
    ahead = ahead if any(job.keep for job in jobs) else 1
    left, loading = deque(jobs), deque[tuple[Job, Future[_Loaded]]]()
    done, size, pays = 0, 0, False
    with ThreadPoolExecutor(THREADS) as threads:

        def load_ahead() -> None:
            most = ahead if done >= 2 else min(ahead, THREADS)  # what is begun here is not for the pool
            while left and not pays and len(loading) < most:
                job = left.popleft()
                loading.append((job, threads.submit(_load, job)))

        try:
            load_ahead()
            while loading:
                job, future = loading.popleft()
                decoded = _look(job, future.result())
                done, size = done + 1, max(size, decoded.size)
                # The first job pays for imports; from the second on the price is known.
                pays = pays or (done >= 2 and workers > 1 and decoded.seconds * len(left) > POOL_PAYS_AFTER)
                load_ahead()  # before the clip is given away: a network may take long over it
                yield decoded
        finally:
            threads.shutdown(cancel_futures=True)
    if left:
        yield from _decode_in_pool(list(left), workers, ahead, size)


def _decode_in_pool(jobs: list[Job], workers: int, ahead: int, size: int) -> Iterator[Decoded]:
    """Decode clips of about `size` bytes in worker processes."""
    kept = any(job.keep for job in jobs)
    each = min(CHUNK, max(1, TASK_BYTES // max(size, 1))) if kept else CHUNK
    chunks = [jobs[k : k + each] for k in range(0, len(jobs), each)]
    at_once = workers + -(-ahead // each) if kept else len(chunks)
    pending = deque[Future[list[Decoded]]]()
    with worker_pool(min(workers, len(chunks))) as pool:
        for chunk in chunks:
            ready = pending.popleft().result() if len(pending) == at_once else []
            pending.append(pool.submit(_run_jobs, chunk))  # first: a network may take long over what is given away
            yield from ready
        while pending:
            yield from pending.popleft().result()


@dataclass(frozen=True)
class _Loaded:
    """A clip, or why there is none, what it holds if that was asked for, and the seconds it took."""

    clip: Clip | str
    content: Content | None
    seconds: float


def _load(job: Job) -> _Loaded:
    """Decode a clip; its failure becomes the reason."""
    started = time.perf_counter()
    try:
        clip = job.source.load()
        content = Content.of(clip) if job.describe else None
    except Exception as error:
        return _Loaded(say(error), None, time.perf_counter() - started)
    return _Loaded(clip, content, time.perf_counter() - started)


def _look(job: Job, loaded: _Loaded) -> Decoded:
    """Run a job's extractors on its clip; failures become their reasons."""
    started, clip = time.perf_counter(), loaded.clip
    if isinstance(clip, str):
        return Decoded(job.place, [clip] * len(job.extractors), unreadable=clip, seconds=loaded.seconds)
    results: list[Features | str] = []
    for extractor in job.extractors:
        try:
            results += extractor.extract([clip])
        except Exception as error:
            results.append(say(error))
    seconds = loaded.seconds + time.perf_counter() - started
    size = clip.video.nbytes + clip.audio.nbytes
    return Decoded(job.place, results, loaded.content, clip if job.keep else None, "", seconds, size)


def _run_jobs(jobs: Sequence[Job]) -> list[Decoded]:
    """Whole jobs, in a worker."""
    return [_look(job, _load(job)) for job in jobs]
