"""An evaluation of runs and of anybody's clips: from clips to features to scores to records."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from mmbench.console import log
from mmbench.errors import MMBenchError, UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.content import Content
from mmbench.features.extract import NO_PROMPT, Extraction, Sample, extract
from mmbench.features.reference import real_features
from mmbench.identity import digest_of
from mmbench.optional_protocols import in_pairs
from mmbench.progress import Progress, Stage
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore
from mmbench.runs.stored import StoredSource
from mmbench.scores.accounting import Counts, Outcome, account, compare_formats, describe_fitting, identify
from mmbench.scores.missing_weights import find_all_weights
from mmbench.scores.optimised import optimised_for
from mmbench.scores.partners import ALONE, Partners, find_partners
from mmbench.scores.progress import ScoringSizes, ScoringStages, plan_scoring
from mmbench.scores.records import Record, finite, finite_all
from mmbench.scores.scoring import Scoring
from mmbench.scores.valid_score import require_score
from mmbench.scores.warnings import SAID_EARLIER, Found, anomaly_extractors, describe, find_warnings, summarize
from mmbench.statistics.estimates import Estimate
from mmbench.statistics.excess import estimate_excess
from mmbench.types import (
    Dataset,
    Extractor,
    FeatureTable,
    Metric,
    Score,
    codecs_of,
    distinct_extractors,
    full_name,
    least_real,
)

NO_EXCESS = Estimate(float("nan"), None, None, None, 0)  # of metrics without a shuffled baseline
NOTHING = {  # what to do where no clip is scored, each for this reason
    NO_PROMPT: "no clip has a prompt. try: prompts=[...] in Python; for files a table prompts.csv, with columns "
    "file,prompt",
    ALONE: "no clip has a real clip of its own. try: the names of the real clips, with their prompts or none, and "
    "--dataset folder:REAL_CLIPS; in Python their ids=[...]",
}


def stored_samples(store: SampleStore, num: int) -> tuple[list[Sample | None], Counts]:
    """The first `num` samples of a run; None for those that failed or are missing."""
    status = store.status(num)
    samples: list[Sample | None] = [None] * num
    for index in status.present:
        r = store.record(index)
        content = Content(r.video_digest, r.audio_digest, r.size, codecs_of(r.notes))
        samples[index] = Sample(store.source(index), r.text, content)
    failures = {i: store.failure(i) for i in status.failed}
    nonfinite = sum(failure.kind == "non-finite" for failure in failures.values())
    return samples, Counts(num, {i: (f"{i:06d}", f.reason) for i, f in failures.items()}, nonfinite)


@runtime_checkable
class KnownRealClips(Protocol):
    """Real clips whose features are known beforehand, as those of a reference file, in place of a dataset."""

    def table(self, metric: Metric) -> FeatureTable:
        """Features of the real clips for a metric; raises UsageError where they do not serve it."""
        ...

    def note(self) -> dict[str, Any]:
        """What a record says of them."""
        ...


@runtime_checkable
class KnownPartners(KnownRealClips, Protocol):
    """Real clips that can be told by name, so that samples pair with them."""

    def partners(self, ids: Sequence[str | None]) -> Partners:
        """Features of the real clips of these names."""
        ...


@dataclass(frozen=True)
class _Judged:
    """A metric, its name with its variant, the names of its extractors, and how real these are."""

    metric: Metric
    name: str
    extractors: Sequence[str]
    weights: str


class Evaluation:
    """Metrics with their networks, real clips to compare with, and known features: opened once, used for every run.

    Args:
        metrics: What to compute. Metrics that share an extractor share the object, so that a network is loaded once.
        reference: Gives real clips to metrics that need them, as many as there are samples; or what the metrics need
            of such clips, as a reference file; None if no metric does.
        cache: Features known so far.
        workers: Processes for plain CPU extractors; None for as many as there are cores.

    Raises:
        UsageError: What is known of the real clips does not serve one of the metrics.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        reference: Dataset | KnownRealClips | None,
        cache: FeatureCache,
        workers: int | None = None,
    ) -> None:
        self.metrics, self.cache, self.workers = metrics, cache, workers
        known = distinct_extractors(metrics)
        self.extractors = {e.name: e for e in (*known, *anomaly_extractors(known))}
        self._judged = []
        for metric in metrics:
            own = metric.extractors()
            real = least_real({e.weights for e in own})
            self._judged.append(_Judged(metric, full_name(metric), [e.name for e in own], real))
        self._digests = {name: extractor_digest(e) for name, e in self.extractors.items()}
        self._paired = [j for j in self._judged if in_pairs(j.metric)]
        self._compared = [j for j in self._judged if j.metric.needs_reference and j not in self._paired]
        self._known = reference if isinstance(reference, KnownPartners) else None
        self._dataset = None if isinstance(reference, KnownRealClips) else reference
        self._tables: dict[str, FeatureTable] = {}
        self._about: Mapping[str, Any] | None = None
        self._tables_of: tuple[int, int] | None = None  # n and seed of the real clips that the tables are of
        if isinstance(reference, KnownRealClips):  # before anything else: what does not fit ends here
            if self._paired and self._known is None:
                found = f"{self._paired[0].name} compares clips in pairs, and this file does not say which is whose."
                raise UsageError(found, "the real clips themselves", "--dataset folder:REAL_CLIPS")
            self._tables = {j.name: reference.table(j.metric) for j in self._compared}
            self._about = reference.note()

    @property
    def sizes(self) -> ScoringSizes:
        """How many networks and metrics there are, for `plan_scoring`."""
        looks = [{name for j in part for name in j.extractors} for part in (self._compared, self._paired)]
        of_real = sum(map(len, looks)) if self._dataset else 0
        return ScoringSizes(len(self.extractors), of_real, len(self._judged))

    def find_weights(self) -> None:
        """Look for the weights of every network; what is missing ends a job here, not in hours."""
        find_all_weights(self.extractors.values())

    def score(
        self, run: RunSpec, samples: Sequence[Sample | None], counts: Counts, stages: ScoringStages | None = None
    ) -> Scoring:
        """Score samples under every metric; nothing is written.

        Args:
            run: Their identity.
            samples: Sample i of the run, None where missing.
            counts: How many were asked for, and which of the missing ones have a recorded failure.
            stages: Of the job's progress, as `plan_scoring` gives them.

        Raises:
            MMBenchError: There are no samples.
        """
        if not any(samples):
            found_words = f"{run.run_id} has no clips to score."
            raise MMBenchError(found_words, "at least one sample", "the same command, once its samples no longer fail")
        stages = stages or self._unseen(run, samples)
        with stages.features as stage:
            found = extract(samples, list(self.extractors.values()), self.cache, workers=self.workers, stage=stage)
        for index, reason in found.unreadable.items():
            if (sample := samples[index]) is not None:
                again = f" try: {sample.source.remedy}" if isinstance(sample.source, StoredSource) else ""
                log.warning("clip %s cannot be read: %s%s", sample.source.id, reason, again)
        return self.judge(run, samples, counts, found, stages)

    def compute_features(
        self, run: RunSpec, samples: Sequence[Sample | None], stages: ScoringStages | None = None
    ) -> None:
        """Compute what `score` needs to know of clips, and score nothing; arguments as of `score`.

        The processes of a launcher that do not score share this work with the one that does.
        """
        stages = stages or self._unseen(run, samples)
        extract(samples, list(self.extractors.values()), self.cache, workers=self.workers)
        with stages.real as stage:
            self._find_real_clips(len(samples), run.seed, stage)
            self._find_partners(run, samples, stage)

    def _unseen(self, run: RunSpec, samples: Sequence[Sample | None]) -> ScoringStages:
        """Stages of a job that shows no progress."""
        return plan_scoring(Progress(quiet=True), self.sizes, [(run.system, len(samples))])[0]

    def judge(
        self,
        run: RunSpec,
        samples: Sequence[Sample | None],
        counts: Counts,
        found: Extraction,
        stages: ScoringStages | None = None,
    ) -> Scoring:
        """Score samples whose features are known; arguments as of `score`, and `found`, their features."""
        stages = stages or self._unseen(run, samples)
        with stages.real as stage:
            self._find_real_clips(len(samples), run.seed, stage)
            partners = self._find_partners(run, samples, stage)
        pairs = partners.only_pairs(found) if partners else found
        warned = find_warnings(samples, found, counts.warned)
        for words in describe(summarize({k: ids for k, ids in warned.items() if k not in SAID_EARLIER})):
            log.warning("%s: %s", run.system, words)
        lines = identify(samples, found, counts, warned)
        absent = tuple(i for i, line in enumerate(lines) if "missing" in line or "unreadable" in line)
        records, scores, told = [], [], []
        for judged in stages.scores.each(self._judged):
            against, seen, known = self._tables.get(judged.name), found, self._about
            if partners and judged in self._paired:
                against = {e: partners.features[e] for e in judged.extractors}
                seen, known = pairs, partners.about
            features = {e: seen.features[e] for e in judged.extractors}
            score = require_score(judged.name, judged.metric.score(features, against, run.seed), len(samples))
            outcome = account(samples, seen, counts, judged.extractors, score)
            if score.num_scored == 0 and set(outcome.unscored.values()) in ({NO_PROMPT}, {ALONE}):
                log.warning("%s: %s", judged.name, NOTHING[next(iter(outcome.unscored.values()))])
            looked_at = outcome.scored or outcome.unscored
            sizes = sorted({c.size for i, c in enumerate(found.contents) if c and i in looked_at})
            about = dict(known) if known and against else None
            if about is not None and against:
                if self._dataset is not None or seen is pairs:  # what is known beforehand says how many
                    about["n"] = min(sum(row is not None for row in rows) for rows in against.values())
                about |= compare_formats(about.get("formats", ()), sizes)
            records.append(self._record(run, judged, score, sizes, found, counts, outcome, about, warned))
            scores.append(score)
            told.append(outcome.lines(lines))
        for words in {r.reference["differs"] for r in records if r.reference and "differs" in r.reference}:
            log.warning("%s", words)
        return Scoring(records, scores, told, absent)

    def _find_real_clips(self, num: int, seed: int, stage: Stage) -> None:
        """Features of the dataset's real clips for runs of `num` samples; runs of one job share them."""
        if not self._compared or self._dataset is None or self._tables_of == (num, seed):
            return
        wanted = {name: self.extractors[name] for j in self._compared for name in j.extractors}
        real = real_features(self._dataset, num, seed, list(wanted.values()), self.cache, self.workers, stage)
        self._tables = {j.name: {e: real.features[e] for e in j.extractors} for j in self._compared}
        formats = sorted({c.size for c in real.contents if c})
        self._about = {"dataset": self._dataset.name, "n": len(real.contents), "formats": formats}
        self._tables_of = (num, seed)

    def _find_partners(self, run: RunSpec, samples: Sequence[Sample | None], stage: Stage) -> Partners | None:
        """Features of each sample's own real clip, if a metric compares with it."""
        if not self._paired:
            return None
        if self._known is not None:
            return self._known.partners([sample.source.id if sample else None for sample in samples])
        wanted = [self.extractors[name] for name in dict.fromkeys(e for j in self._paired for e in j.extractors)]
        assert self._dataset is not None  # whoever makes metrics has seen to it
        return find_partners(self._dataset, run, samples, wanted, self.cache, self.workers, stage)

    def _record(
        self,
        run: RunSpec,
        judged: _Judged,
        score: Score,
        sizes: Sequence[str],
        found: Extraction,
        counts: Counts,
        outcome: Outcome,
        reference: Mapping[str, Any] | None,
        warned: Found,
    ) -> Record:
        numbers = (score.value, score.stderr, score.low, score.high, score.baseline, score.baseline_stderr)
        value, stderr, low, high, baseline, baseline_stderr = finite_all(*numbers)
        excess = _find_excess(score)
        return Record(
            run_id=run.run_id,
            digest=run.digest,
            system=run.system,
            dataset=run.dataset,
            seed=run.seed,
            weights=run.weights,
            metric=judged.name,
            signature=signature(judged.metric, sizes, self._digests),
            value=value,
            stderr=stderr,
            low=low,
            high=high,
            higher_is_better=judged.metric.higher_is_better,
            n_expected=counts.expected,
            n_present=len(outcome.scored) + len(outcome.unscored),
            n_failed=len(outcome.failed),
            n_nonfinite=counts.nonfinite,
            n_unscored=len(outcome.unscored),
            n_scored=len(outcome.scored),
            n_missing=len(outcome.missing),
            unscored=dict(Counter(outcome.unscored.values())),
            baseline=baseline,
            baseline_stderr=baseline_stderr,
            lossy=any(c.codecs.endswith("lossy") for c in found.contents if c),
            extractor_weights=judged.weights,
            reference=reference,
            time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            details=dict(score.details),
            video_of=run.video_of,
            fitted=describe_fitting(found.contents),
            warnings=summarize(warned),
            optimised_for=optimised_for(run, judged.metric),
            excess=finite(excess.value),
            excess_stderr=excess.stderr,
            excess_low=excess.low,
            excess_high=excess.high,
        )


def _find_excess(score: Score) -> Estimate:
    """The paired excess of a score; without its shuffled pairs the number alone."""
    if score.baseline is None or not math.isfinite(score.value):
        return NO_EXCESS
    return estimate_excess(score) or replace(NO_EXCESS, value=score.value - score.baseline)


def extractor_digest(extractor: Extractor) -> str:
    """Six hex digits that stand for an extractor and its spec in a signature."""
    return digest_of({"n": extractor.name, **extractor.spec()})[:6]


def signature(metric: Metric, sizes: Sequence[str], digests: Mapping[str, str] | None = None) -> str:
    """What makes two numbers comparable: name | variant | extractors | sizes | version.

    Args:
        metric: The metric.
        sizes: Sizes of the clips that were scored.
        digests: `extractor_digest` by name, where it is known already.
    """
    known = digests or {e.name: extractor_digest(e) for e in metric.extractors()}
    extractors = "+".join(f"{e.name}-{known[e.name]}" for e in metric.extractors())
    size = ",".join(sizes) if len(sizes) <= 3 else f"{len(sizes)} sizes-{digest_of(sorted(sizes))[:6]}"
    return f"{metric.name}|{metric.variant}|extractors:{extractors}|size:{size}|version:{metric.version}"
