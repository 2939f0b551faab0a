"""Features of clips and texts: decoded once, computed once, in the workers that pay."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mmbench.errors import MediaError, MMBenchError
from mmbench.features.cache import FeatureCache
from mmbench.features.together import share_work
from mmbench.identity import digest_bytes
from mmbench.media.padding import FITTED
from mmbench.optional_protocols import HasWeights
from mmbench.processes import usable_cores, worker_pool
from mmbench.progress import Progress, Stage
from mmbench.types import ClipSource, Extractor, Features

CHUNK = 16  # clips per task: contiguous, so that cuts of one long video share its decoding
POOL_PAYS_AFTER = 8.0  # [s] of work left; starting workers costs a few seconds of imports each
FLUSH_EVERY = 128  # clips
NO_PROMPT = "no prompt"  # why a text has no features: nothing is compared with an empty one


@dataclass(frozen=True)
class Content:
    """What a clip holds, without its pixels.

    Attributes:
        video, audio: Digests of its halves.
        size: As `Clip.size` gives it.
        codecs: Those it came through.
        fitted: Samples of silence that its sound was completed with to be as long as its picture, negative if it was
            cut, "" if neither: see `mmbench.media.padding`.
    """

    video: str
    audio: str
    size: str
    codecs: str = ""
    fitted: str = ""


@dataclass(frozen=True)
class Sample:
    """A clip to look at.

    Attributes:
        source: Where to get it.
        text: Its prompt; "" without one.
        content: What it holds, if that is known without decoding.
        requested: The size that was asked for, as `Clip.size` gives it; "" if none was.
        labels: What it can be grouped by, such as a category; no metric sees them.
    """

    source: ClipSource
    text: str
    content: Content | None = None
    requested: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def text_digest(self) -> str:
        """Digest of the prompt."""
        return digest_bytes(self.text.encode(errors="surrogatepass"))


@dataclass
class Extraction:
    """Features per extractor and sample, None where there are none; `reasons` says why.

    Attributes:
        features: Extractor name -> one entry per sample.
        contents: Content per sample; None where it could not be decoded (or nobody needed to).
        reasons: (extractor name, sample position) -> reason.
        unreadable: Sample position -> why it could not be decoded.
    """

    features: dict[str, list[Features | None]]
    contents: list[Content | None]
    reasons: dict[tuple[str, int], str] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)


def _pack(content: Content) -> Features:
    return {"content": np.frombuffer("|".join(vars(content).values()).encode(), np.uint8)}


def _unpack(features: Features | None) -> Content | None:
    """What a clip holds; None where that is not known, or damaged in a file from before there were checksums."""
    try:
        return None if features is None else Content(*features["content"].tobytes().decode().split("|"))
    except (LookupError, ValueError, TypeError):
        return None


def extract(
    samples: Sequence[Sample | None],
    extractors: Sequence[Extractor],
    cache: FeatureCache,
    *,
    workers: int | None = None,
    stage: Stage | None = None,
) -> Extraction:
    """Features of every sample under every extractor, from the cache where it has them.

    Args:
        samples: None marks a sample that does not exist.
        extractors: Those with batch_size 1 run in a process pool where that pays; others in batches here.
        cache: Read and added to; where several processes share it, each computes a part of what is lacking.
        workers: Processes of this one; by default as many as there are cores for this one.
        stage: Told of each pair of a sample and an extractor, of which there are len(samples) * len(extractors).
    """
    stage = stage or _unseen(samples, extractors)
    workers = workers or usable_cores()
    if cache.processes == 1:
        return _extract(samples, extractors, cache, workers, stage)

    def compute(places: range) -> None:
        part = samples[places.start : places.stop]
        _extract(part, extractors, cache, workers, _unseen(part, extractors))

    share_work([sample.source if sample else None for sample in samples], extractors, cache, compute, stage)
    return _extract(samples, extractors, cache, workers, _unseen(samples, extractors))  # all of it is in the cache now


def _unseen(samples: Sequence[Sample | None], extractors: Sequence[Extractor]) -> Stage:
    """A stage that is not shown."""
    return Progress(quiet=True).plan("features", "", len(samples) * len(extractors))


def _extract(
    samples: Sequence[Sample | None], extractors: Sequence[Extractor], cache: FeatureCache, workers: int, stage: Stage
) -> Extraction:
    """Features of every sample, by this process alone."""
    task = _Task(samples, extractors, cache)
    task.recall_contents()
    task.run_plain_extractors(workers, stage)
    task.run_networks(stage)
    return task.out


class _Task:
    """One extraction under way: what is found so far, and where it is kept.

    Attributes:
        out: Features, contents and reasons found so far.
        contents: Table of contents by digests of sources, so that a second look need not decode them.
        shelves: Table of each extractor's features.
    """

    def __init__(self, samples: Sequence[Sample | None], extractors: Sequence[Extractor], cache: FeatureCache) -> None:
        self.samples, self.extractors, self.cache = samples, extractors, cache
        self.contents = cache.contents
        self.shelves = {e.name: cache.shelf(e) for e in extractors}
        features: dict[str, list[Features | None]] = {e.name: [None] * len(samples) for e in extractors}
        self.out = Extraction(features, [s.content if s else None for s in samples])

    def recall_contents(self) -> None:
        """Take the contents that the table has of sources that do not say them."""
        digests: dict[int, str] = {}
        for i, sample in enumerate(self.samples):
            if sample is not None and self.out.contents[i] is None:
                with suppress(MediaError):  # a file that went away since it was listed; decoding it says so
                    digests[i] = sample.source.digest
        for i, features in zip(digests, self.contents.recall(list(digests.values())), strict=True):
            self.out.contents[i] = _unpack(features)

    def run_plain_extractors(self, workers: int, stage: Stage) -> None:
        """Decode clips one by one, for extractors that take single clips and where a content is unknown."""
        plain = [e for e in self.extractors if not _takes_batches(e)]
        todo: dict[int, list[Extractor]] = {}
        for e in plain:
            for i in self._recall(e):
                todo.setdefault(i, []).append(e)
        for i, sample in enumerate(self.samples):
            if sample is not None and self.out.contents[i] is None:
                todo.setdefault(i, [])
        stage.skip(len(self.samples) * len(plain) - sum(map(len, todo.values())))
        jobs = [(i, sample.source, todo[i]) for i in sorted(todo) if (sample := self.samples[i]) is not None]
        for done, (i, content, results) in enumerate(_run_jobs(jobs, workers), start=1):
            if isinstance(content, str):
                self.out.unreadable[i] = content
            else:
                self._learn(i, content)
            for e, result in zip(todo[i], results, strict=True):
                self._keep(e, i, result)
            stage.advance(len(results))
            if done % FLUSH_EVERY == 0:
                self.cache.flush()
        self.cache.flush()

    def run_networks(self, stage: Stage) -> None:
        """Run the extractors that take batches over the samples they lack; one without weights ends this at once."""
        wanted = [(e, lacking) for e in self.extractors if _takes_batches(e) and (lacking := self._recall(e))]
        for e, _ in wanted:
            find_weights(e)
        batched = sum(map(_takes_batches, self.extractors))
        stage.skip(len(self.samples) * batched - sum(len(lacking) for _, lacking in wanted))
        done = 0
        for members, found, unreadable in _in_batches(wanted, self.samples):
            self.out.unreadable |= unreadable
            for extractor, i, result in found:
                self._keep(extractor, i, result)
            stage.advance(len(found))
            if (done + members) // FLUSH_EVERY > done // FLUSH_EVERY:
                self.cache.flush()
            done += members
        self.cache.flush()

    def _recall(self, extractor: Extractor) -> list[int]:
        """Take an extractor's features from the cache; returns the samples that lack them."""
        keys = [self._content_key(extractor, i) for i in range(len(self.samples))]
        found = self.shelves[extractor.name].recall(keys)
        self.out.features[extractor.name] = found
        lacking = [i for i, s in enumerate(self.samples) if s is not None and found[i] is None]
        if extractor.modality != "text":
            return lacking
        silent = [i for i in lacking if not self._prompt(i)]
        self.out.reasons |= {(extractor.name, i): NO_PROMPT for i in silent}
        return [i for i in lacking if self._prompt(i)]

    def _prompt(self, i: int) -> str:
        sample = self.samples[i]
        return "" if sample is None else sample.text.strip()

    def _content_key(self, extractor: Extractor, i: int) -> str | None:
        """Digest of what an extractor looks at in sample i; None while that is unknown."""
        sample, content = self.samples[i], self.out.contents[i]
        if sample is None:
            return None
        if extractor.modality == "text":
            return sample.text_digest if self._prompt(i) else None
        return None if content is None else content.video if extractor.modality == "video" else content.audio

    def _keep(self, extractor: Extractor, i: int, result: Features | str) -> None:
        """Note features, or the reason why there are none."""
        if isinstance(result, str):
            self.out.reasons[extractor.name, i] = result
            return
        if not isinstance(result, dict):
            found = f"The extractor {extractor.name} gave a {type(result).__name__} for a clip."
            raise MMBenchError(found, "a list of dicts of arrays, one for each clip", "return [{'name': array}, ...]")
        self.out.features[extractor.name][i] = result
        key = self._content_key(extractor, i)
        if key is not None:
            self.shelves[extractor.name][key] = result

    def _learn(self, i: int, content: Content) -> None:
        """Note what decoding showed a clip to hold."""
        sample = self.samples[i]
        if sample is not None and self.out.contents[i] is None:
            self.out.contents[i] = content
            with suppress(MediaError):
                if digest := sample.source.digest:
                    self.contents[digest] = _pack(content)


def _takes_batches(extractor: Extractor) -> bool:
    return extractor.batch_size > 1 or extractor.modality == "text"


def find_weights(extractor: Extractor) -> None:
    """Let a network look for its weights, if it has any; raises what `extract` would, before any work is lost."""
    if isinstance(extractor, HasWeights):
        extractor.prepare()


Job = tuple[int, ClipSource, list[Extractor]]
JobResult = tuple[int, Content | str, list[Features | str]]  # or why the clip could not be decoded


def _say(error: Exception) -> str:
    """Why a clip has no features, in one line."""
    return error.found if isinstance(error, MMBenchError) else f"{type(error).__name__}: {error}"


def _run_job(job: Job) -> JobResult:
    """Decode one clip and run extractors on it; failures become their reasons."""
    i, source, extractors = job
    try:
        clip = source.load()
    except Exception as error:
        reason = _say(error)
        return i, reason, [reason] * len(extractors)
    fitted = str(clip.notes.get(FITTED, ""))
    content = Content(clip.video_digest(), clip.audio_digest(), clip.size(), clip.codecs(), fitted)
    results: list[Features | str] = []
    for extractor in extractors:
        try:
            results += extractor.extract([clip])
        except Exception as error:
            results.append(_say(error))
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
    with worker_pool(min(workers, len(chunks))) as pool:
        futures: list[Future[list[JobResult]]] = [pool.submit(_run_chunk, chunk) for chunk in chunks]
        for future in as_completed(futures):
            yield from future.result()


Wanted = Sequence[tuple[Extractor, Sequence[int]]]
Batch = tuple[int, list[tuple[Extractor, int, Features | str]], dict[int, str]]


def _in_batches(wanted: Wanted, samples: Sequence[Sample | None], threads: int = 2) -> Iterator[Batch]:
    """Run networks over batches: a clip is decoded once for all of them, while the batch before it is computed.

    Args:
        wanted: Extractors and the samples they lack.
        samples: Where clips and texts are.
        threads: For decoding.

    Yields:
        How many samples were looked at, their features, or the reason why there are none, and what cannot be decoded.
    """
    texts = [(e, indices) for e, indices in wanted if e.modality == "text"]
    clips = [(e, set(indices)) for e, indices in wanted if e.modality != "text"]
    for e, indices in texts:
        for k in range(0, len(indices), e.batch_size):
            asked = [(i, samples[i].text) for i in indices[k : k + e.batch_size]]  # type: ignore[union-attr]
            yield len(asked), [(e, i, result) for i, result in _run_batch(e, asked)], {}

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
                results += [(e, i, _say(x)) for i, x in members if isinstance(x, Exception)]
                good = [(i, x) for i, x in members if not isinstance(x, Exception)]
                for k in range(0, len(good), e.batch_size):
                    results += [(e, i, result) for i, result in _run_batch(e, good[k : k + e.batch_size])]
            yield len(batch), results, {i: _say(x) for i, x in loaded.items() if isinstance(x, Exception)}


def _run_batch(extractor: Extractor, members: list[tuple[int, Any]]) -> list[tuple[int, Features | str]]:
    """Features of a batch; if it fails, of its members one by one, so that one bad clip spoils no other."""
    try:
        return list(zip([i for i, _ in members], extractor.extract([x for _, x in members]), strict=True))
    except Exception as error:
        if len(members) == 1:
            reason = _say(error)
            return [(members[0][0], reason)]
        return [pair for member in members for pair in _run_batch(extractor, [member])]
