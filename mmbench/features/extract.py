"""Features of clips and texts: decoded once, computed once, in the workers that pay."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np

from mmbench.console import Progress
from mmbench.errors import MMBenchError
from mmbench.features.cache import FeatureCache
from mmbench.identity import digest_bytes
from mmbench.types import ClipSource, Extractor, Features

CHUNK = 16  # clips per task: contiguous, so that cuts of one long video share its decoding
POOL_PAYS_AFTER = 8.0  # [s] of work left; starting workers costs a few seconds of imports each
FLUSH_EVERY = 128  # clips


@dataclass(frozen=True)
class Content:
    """What a clip holds, without its pixels: digests of its halves, its size, and the codecs it came through."""

    video: str
    audio: str
    size: str
    codecs: str = ""


@dataclass(frozen=True)
class Sample:
    """A clip to look at: where to get it, its prompt, and its content if that is known without decoding."""

    source: ClipSource
    text: str
    content: Content | None = None


@dataclass
class Extraction:
    """Features per extractor and sample, None where there are none; `reasons` says why.

    Attributes:
        features: Extractor name -> one entry per sample.
        contents: Content per sample; None where it could not be decoded (or nobody needed to).
        reasons: (extractor name, sample position) -> reason.
    """

    features: dict[str, list[Features | None]]
    contents: list[Content | None]
    reasons: dict[tuple[str, int], str] = field(default_factory=dict)


class _ContentTable:
    """Remembers what is in files and dataset items, so that a second look need not decode them."""

    name = "content"
    modality, batch_size, weights = "video", 1, "none"

    def spec(self) -> dict[str, Any]:
        return {"version": 1}

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        raise TypeError("content is found while decoding")

    @staticmethod
    def pack(c: Content) -> Features:
        return {"content": np.frombuffer("|".join((c.video, c.audio, c.size, c.codecs)).encode(), np.uint8)}

    @staticmethod
    def unpack(features: Features) -> Content:
        return Content(*features["content"].tobytes().decode().split("|"))


def extract(
    samples: Sequence[Sample | None],
    extractors: Sequence[Extractor],
    cache: FeatureCache,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Extraction:
    """Features of every sample under every extractor, from the cache where it has them.

    Args:
        samples: None marks a sample that does not exist.
        extractors: Those with batch_size 1 run in a process pool where that pays; others in batches here.
        cache: Read and added to.
        workers: Processes; as many as the machine has cores by default.
        progress: Told of each sample.
    """
    table = _ContentTable()
    out = Extraction({e.name: [None] * len(samples) for e in extractors}, [s.content if s else None for s in samples])
    known = cache.shelf(table)  # type: ignore[arg-type]
    for i, sample in enumerate(samples):
        if sample is not None and out.contents[i] is None and sample.source.digest in known:
            out.contents[i] = table.unpack(known[sample.source.digest])

    def content_key(extractor: Extractor, i: int) -> str | None:
        sample, content = samples[i], out.contents[i]
        if sample is None:
            return None
        if extractor.modality == "text":
            return digest_bytes(sample.text.encode())
        return None if content is None else content.video if extractor.modality == "video" else content.audio

    def missing(extractor: Extractor) -> list[int]:
        shelf, found = cache.shelf(extractor), []
        for i, sample in enumerate(samples):
            key = content_key(extractor, i)
            if key is not None and key in shelf:
                out.features[extractor.name][i] = shelf[key]
            elif sample is not None:
                found.append(i)
        return found

    def keep(extractor: Extractor, i: int, result: Features | str) -> None:
        if isinstance(result, str):
            out.reasons[extractor.name, i] = result
            return
        out.features[extractor.name][i] = result
        key = content_key(extractor, i)
        if key is not None:
            cache.shelf(extractor)[key] = result

    def learn(i: int, content: Content | None) -> None:
        sample = samples[i]
        if sample is not None and content is not None and out.contents[i] is None:
            out.contents[i] = content
            if sample.source.digest:
                known[sample.source.digest] = table.pack(content)

    todo: dict[int, list[Extractor]] = {}
    for e in extractors:
        if e.batch_size == 1 and e.modality != "text":
            for i in missing(e):
                todo.setdefault(i, []).append(e)
    for i, sample in enumerate(samples):
        if sample is not None and out.contents[i] is None:
            todo.setdefault(i, [])
    jobs = [(i, samples[i].source, todo[i]) for i in sorted(todo)]  # type: ignore[union-attr]
    for done, (i, content, results) in enumerate(_run_jobs(jobs, workers or os.cpu_count() or 1), start=1):
        learn(i, content)
        for e, result in zip(todo[i], results, strict=True):
            keep(e, i, result)
        if progress:
            progress.advance()
        if done % FLUSH_EVERY == 0:
            cache.flush()
    cache.flush()
    batched = {e.name: (e, missing(e)) for e in extractors if e.batch_size > 1 or e.modality == "text"}
    for e, indices in batched.values():
        if indices and (prepare := getattr(e, "prepare", None)):
            prepare()  # a network without weights ends this here, not clip by clip
    done = 0
    for members, found in _in_batches(list(batched.values()), samples):
        for extractor, i, result in found:
            keep(extractor, i, result)
        if (done + members) // FLUSH_EVERY > done // FLUSH_EVERY:
            cache.flush()
        done += members
    cache.flush()
    return out


Job = tuple[int, ClipSource, list[Extractor]]
JobResult = tuple[int, Content | None, list[Features | str]]


def _run_job(job: Job) -> JobResult:
    """Decode one clip and run extractors on it; failures become their reasons."""
    i, source, extractors = job
    try:
        clip = source.load()
    except Exception as error:
        reason = str(error) if isinstance(error, MMBenchError) else f"{type(error).__name__}: {error}"
        return i, None, [reason] * len(extractors)
    content = Content(clip.video_digest(), clip.audio_digest(), clip.size(), clip.codecs())
    results: list[Features | str] = []
    for extractor in extractors:
        try:
            results += extractor.extract([clip])
        except Exception as error:
            results.append(str(error) if isinstance(error, MMBenchError) else f"{type(error).__name__}: {error}")
    return i, content, results


def _run_chunk(jobs: list[Job]) -> list[JobResult]:
    return [_run_job(job) for job in jobs]


def _run_jobs(jobs: list[Job], workers: int) -> Iterator[JobResult]:
    """Run jobs here until it is known what one costs, then in a pool if enough work is left."""
    elapsed, done = 0.0, 0
    for done, job in enumerate(jobs, start=1):
        started = time.perf_counter()
        yield _run_job(job)
        elapsed = time.perf_counter() - started
        # The first job pays for imports; from the second on the price is known.
        if done >= 2 and workers > 1 and elapsed * (len(jobs) - done) > POOL_PAYS_AFTER:
            break
    rest = jobs[done:]
    if not rest:
        return
    chunks = [rest[k : k + CHUNK] for k in range(0, len(rest), CHUNK)]
    with ProcessPoolExecutor(min(workers, len(chunks)), mp_context=get_context("spawn")) as pool:
        futures: list[Future[list[JobResult]]] = [pool.submit(_run_chunk, chunk) for chunk in chunks]
        for future in as_completed(futures):
            yield from future.result()


Wanted = Sequence[tuple[Extractor, Sequence[int]]]
Batch = tuple[int, list[tuple[Extractor, int, Features | str]]]


def _in_batches(wanted: Wanted, samples: Sequence[Sample | None], threads: int = 2) -> Iterator[Batch]:
    """Run networks over batches: a clip is decoded once for all of them, while the batch before it is computed.

    Args:
        wanted: Extractors and the samples they lack.
        samples: Where clips and texts are.
        threads: For decoding.

    Yields:
        How many samples were looked at, and their features, or the reason why there are none.
    """
    texts = [(e, indices) for e, indices in wanted if e.modality == "text"]
    clips = [(e, set(indices)) for e, indices in wanted if e.modality != "text"]
    for e, indices in texts:
        for k in range(0, len(indices), e.batch_size):
            asked = [(i, samples[i].text) for i in indices[k : k + e.batch_size]]  # type: ignore[union-attr]
            yield len(asked), [(e, i, result) for i, result in _run_batch(e, asked)]

    def load(i: int) -> Any:
        try:
            return samples[i].source.load()  # type: ignore[union-attr]
        except Exception as error:
            return error

    size = max((e.batch_size for e, _ in clips), default=1)
    union = sorted({i for _, lacking in clips for i in lacking})
    batches = [union[k : k + size] for k in range(0, len(union), size)]
    with ThreadPoolExecutor(threads) as pool:
        ahead = [pool.submit(load, i) for i in batches[0]] if batches else []
        for number, batch in enumerate(batches):
            loaded = dict(zip(batch, [f.result() for f in ahead], strict=True))
            ahead = [pool.submit(load, i) for i in batches[number + 1]] if number + 1 < len(batches) else []
            results: list[tuple[Extractor, int, Features | str]] = []
            for e, lacking in clips:
                members = [(i, x) for i, x in loaded.items() if i in lacking]
                results += [(e, i, str(x)) for i, x in members if isinstance(x, Exception)]
                good = [(i, x) for i, x in members if not isinstance(x, Exception)]
                for k in range(0, len(good), e.batch_size):
                    results += [(e, i, result) for i, result in _run_batch(e, good[k : k + e.batch_size])]
            yield len(batch), results


def _run_batch(extractor: Extractor, members: list[tuple[int, Any]]) -> list[tuple[int, Features | str]]:
    """Features of a batch; if it fails, of its members one by one, so that one bad clip spoils no other."""
    try:
        return list(zip([i for i, _ in members], extractor.extract([x for _, x in members]), strict=True))
    except Exception as error:
        if len(members) == 1:
            reason = str(error) if isinstance(error, MMBenchError) else f"{type(error).__name__}: {error}"
            return [(members[0][0], reason)]
        return [pair for member in members for pair in _run_batch(extractor, [member])]
