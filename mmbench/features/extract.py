"""Features of clips and texts: decoded once, computed once, in the workers that pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mmbench.errors import MediaError, MMBenchError
from mmbench.features.cache import FeatureCache
from mmbench.features.content import Content, pack, unpack
from mmbench.features.decoding import Decoded, Job, decode_ahead, say
from mmbench.features.together import share_work
from mmbench.identity import digest_bytes
from mmbench.optional_protocols import HasWeights
from mmbench.processes import usable_cores
from mmbench.progress import Progress, Stage
from mmbench.types import Clip, ClipSource, Extractor, Features

FLUSH_EVERY = 128  # clips
NO_PROMPT = "no prompt"  # why a text has no features: nothing is compared with an empty one


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
    task.look_at_texts(stage)
    task.look_at_clips(workers, stage)
    return task.out


class _Task:
    """One extraction under way: what is found so far, and where it is kept.

    Attributes:
        out: Features, contents and reasons found so far.
        contents: Table of contents by digests of sources, so that a second look need not decode them.
        shelves: Table of each extractor's features.
        lacking: Positions of the clips that each extractor lacks, by its name.
        found: (extractor name, content digest) of the features that were computed here.
        prepared: Names of the extractors that looked for their weights.
    """

    def __init__(self, samples: Sequence[Sample | None], extractors: Sequence[Extractor], cache: FeatureCache) -> None:
        self.samples, self.extractors, self.cache = samples, extractors, cache
        self.contents = cache.contents
        self.shelves = {e.name: cache.shelf(e) for e in extractors}
        features: dict[str, list[Features | None]] = {e.name: [None] * len(samples) for e in extractors}
        self.lacking: dict[str, set[int]] = {}
        self.found: set[tuple[str, str]] = set()
        self.prepared: set[str] = set()
        self.out = Extraction(features, [s.content if s else None for s in samples])

    def recall_contents(self) -> None:
        """Take the contents that the table has of sources that do not say them."""
        digests: dict[int, str] = {}
        for i, sample in enumerate(self.samples):
            if sample is not None and self.out.contents[i] is None:
                with suppress(MediaError):  # a file that went away since it was listed; decoding it says so
                    digests[i] = sample.source.digest
        for i, features in zip(digests, self.contents.recall(list(digests.values())), strict=True):
            self.out.contents[i] = unpack(features)

    def look_at_texts(self, stage: Stage) -> None:
        """Run the extractors of texts over the prompts they lack."""
        for e in (e for e in self.extractors if e.modality == "text"):
            lacking = self._recall(e)
            stage.skip(len(self.samples) - len(lacking))
            if lacking:
                self._prepare(e)
            for k in range(0, len(lacking), e.batch_size):
                members = [(i, self.samples[i].text) for i in lacking[k : k + e.batch_size]]  # type: ignore[union-attr]
                self._run_network(e, members)
                stage.advance(len(members))
            if lacking:
                self.cache.flush()

    def look_at_clips(self, workers: int, stage: Stage) -> None:
        """Decode each clip once that any extractor lacks, or whose content is unknown, and run them all on it.

        Networks get the clips that they lack in batches, whose members depend on nothing but what was in the cache.
        """
        takers = [e for e in self.extractors if e.modality != "text"]
        networks = [e for e in takers if _takes_batches(e)]
        self.lacking = {e.name: set(self._recall(e)) for e in takers}
        unknown = {i for i, s in enumerate(self.samples) if s is not None and self.out.contents[i] is None}
        for e in networks:
            if self.lacking[e.name] - unknown:  # of the others it is not known yet; what is missing ends this at once
                self._prepare(e)
        stage.skip(len(self.samples) * len(takers) - sum(map(len, self.lacking.values())))
        size = max((e.batch_size for e in networks), default=1)
        batch: dict[int, Clip | str] = {}
        jobs = self._jobs(takers, unknown)
        for done, decoded in enumerate(decode_ahead(jobs, workers, size), start=1):
            i = decoded.place
            self._take(decoded, jobs[done - 1].extractors)
            stage.advance(len(decoded.results))
            if i in unknown:
                stage.skip(sum(self._was_known(e, i) for e in networks))
            if any(i in self.lacking[e.name] for e in networks):
                batch[i] = decoded.unreadable if decoded.clip is None else decoded.clip
            if len(batch) == size or (batch and done == len(jobs)):
                stage.advance(self._run_networks(networks, batch))
                batch.clear()
            if done % FLUSH_EVERY == 0:
                self.cache.flush()
        self.cache.flush()

    def _jobs(self, takers: Sequence[Extractor], unknown: set[int]) -> list[Job]:
        """The clips to decode, in order."""
        jobs = []
        for i in sorted(unknown.union(*self.lacking.values())):
            wanted = [e for e in takers if i in self.lacking[e.name]]
            plain = [e for e in wanted if not _takes_batches(e)]
            source = self.samples[i].source  # type: ignore[union-attr]
            jobs.append(Job(i, source, plain, describe=i in unknown, keep=len(wanted) > len(plain)))
        return jobs

    def _take(self, decoded: Decoded, extractors: Sequence[Extractor]) -> None:
        """Note what a clip holds and what the extractors of single clips found, or why there is nothing."""
        if decoded.unreadable:
            self.out.unreadable[decoded.place] = decoded.unreadable
        elif decoded.content is not None:
            self._learn(decoded.place, decoded.content)
        for e, result in zip(extractors, decoded.results, strict=True):
            self._keep(e, decoded.place, result)

    def _was_known(self, extractor: Extractor, i: int) -> bool:
        """Whether a clip whose content is known by now had its features in the cache; takes them if so.

        Features that were found since do not count: batches would have other members in another number of processes.
        """
        key = self._content_key(extractor, i)
        if key is None or (extractor.name, key) in self.found:
            return False
        (features,) = self.shelves[extractor.name].recall([key])
        if features is None:
            return False
        self.out.features[extractor.name][i] = features
        self.lacking[extractor.name].discard(i)
        return True

    def _run_networks(self, networks: Sequence[Extractor], batch: Mapping[int, Clip | str]) -> int:
        """Run networks on those clips of a batch that each lacks; says how many features that were."""
        count = 0
        for e in networks:
            members = [(i, clip) for i, clip in batch.items() if i in self.lacking[e.name]]
            count += len(members)
            for i, reason in members:
                if isinstance(reason, str):
                    self._keep(e, i, reason)
            good = [(i, clip) for i, clip in members if not isinstance(clip, str)]
            if good:
                self._prepare(e)
            for k in range(0, len(good), e.batch_size):
                self._run_network(e, good[k : k + e.batch_size])
        return count

    def _run_network(self, extractor: Extractor, members: list[tuple[int, Any]]) -> None:
        for i, result in _run_batch(extractor, members):
            self._keep(extractor, i, result)

    def _prepare(self, extractor: Extractor) -> None:
        """Let a network look for its weights once; without them this ends."""
        if extractor.name not in self.prepared:
            find_weights(extractor)
            self.prepared.add(extractor.name)

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
            self.found.add((extractor.name, key))

    def _learn(self, i: int, content: Content) -> None:
        """Note what decoding showed a clip to hold."""
        sample = self.samples[i]
        if sample is not None and self.out.contents[i] is None:
            self.out.contents[i] = content
            with suppress(MediaError):
                if digest := sample.source.digest:
                    self.contents[digest] = pack(content)


def _takes_batches(extractor: Extractor) -> bool:
    return extractor.batch_size > 1 or extractor.modality == "text"


def find_weights(extractor: Extractor) -> None:
    """Let a network look for its weights, if it has any; raises what `extract` would, before any work is lost."""
    if isinstance(extractor, HasWeights):
        extractor.prepare()


def _run_batch(extractor: Extractor, members: list[tuple[int, Any]]) -> list[tuple[int, Features | str]]:
    """Features of a batch; if it fails, of its members one by one, so that one bad clip spoils no other."""
    try:
        return list(zip([i for i, _ in members], extractor.extract([x for _, x in members]), strict=True))
    except Exception as error:
        if len(members) == 1:
            reason = say(error)
            return [(members[0][0], reason)]
        return [pair for member in members for pair in _run_batch(extractor, [member])]
