"""A run, or anybody's clips, to features to scores to records."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmbench.console import Progress, log
from mmbench.errors import MMBenchError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Content, Extraction, Sample, extract
from mmbench.features.reference import ReferenceFile, real_features
from mmbench.identity import digest_of
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore
from mmbench.scores.records import Record, finite, save
from mmbench.statistics.estimates import bootstrap_estimate, mean_estimate
from mmbench.types import Dataset, FeatureTable, Metric, Score, codecs_of, distinct_extractors, full_name, least_real


@dataclass(frozen=True)
class Counts:
    """What became of the samples asked for, before any metric looked at them."""

    expected: int
    failed: int = 0
    nonfinite: int = 0


def stored_samples(store: SampleStore, num: int) -> tuple[list[Sample | None], Counts]:
    """The first `num` samples of a run; None for those that failed or are missing."""
    status = store.status(num)
    samples: list[Sample | None] = [None] * num
    for index in status.present:
        r = store.record(index)
        content = Content(r.video_digest, r.audio_digest, r.size, codecs_of(r.notes))
        samples[index] = Sample(store.source(index), r.text, content)
    nonfinite = sum(store.failure(i).kind == "non-finite" for i in status.failed)
    return samples, Counts(num, len(status.failed), nonfinite)


def score_samples(
    folder: Path,
    run: RunSpec,
    samples: Sequence[Sample | None],
    counts: Counts,
    metrics: Sequence[Metric],
    dataset: Dataset | ReferenceFile | None,
    cache: FeatureCache,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Score samples under every metric and write the records into the run's folder.

    Args:
        folder: The run's folder.
        run: Its identity.
        samples: Sample i of the run, None where missing.
        counts: How many were asked for, and how many of the missing ones have a recorded failure.
        metrics: What to compute.
        dataset: Gives reference clips to metrics that need them, as many as there are samples; or a file of what the
            metrics need of such clips; None if no metric does.
        cache: Features known so far.
        workers: Processes for plain CPU extractors.
        progress: Told of each decoded clip.

    Returns:
        One record per metric, in order.
    """
    if not any(samples):
        raise MMBenchError(f"{folder} has no clips to score.", "at least one sample", "mmbench generate ...")
    wanted = [m for m in metrics if m.needs_reference]
    tables: dict[str, FeatureTable] = {}
    about: Mapping[str, Any] | None = None
    if isinstance(dataset, ReferenceFile):  # before anything else: what does not fit ends here
        tables, about = {full_name(m): dataset.table(m) for m in wanted}, dataset.note()
    found = extract(samples, distinct_extractors(metrics), cache, workers=workers, progress=progress)
    unreadable = _unreadable(samples, found)
    for index, reason in unreadable.items():
        log.warning("clip %s cannot be read: %s", samples[index] and samples[index].source.id, reason)  # type: ignore[union-attr]
    if wanted and dataset is not None and not isinstance(dataset, ReferenceFile):
        real = real_features(dataset, len(samples), run.seed, distinct_extractors(wanted), cache, workers)
        tables = {full_name(m): {e.name: real.features[e.name] for e in m.extractors()} for m in wanted}
        about = {"dataset": dataset.name, "n": counts.expected}
    records = []
    for metric in metrics:
        against = tables.get(full_name(metric))
        score = metric.score({e.name: found.features[e.name] for e in metric.extractors()}, against, run.seed)
        size = sorted({c.size for c in found.contents if c})
        record = _record(run, metric, score, size, found, counts, len(unreadable), about if against else None)
        save(folder, record, score, [_identify(s, c) for s, c in zip(samples, found.contents, strict=True)])
        records.append(record)
    return records


def _unreadable(samples: Sequence[Sample | None], found: Extraction) -> dict[int, str]:
    """Samples that no extractor got anything from because they could not be decoded."""
    reasons: dict[int, str] = {}
    for (_, index), reason in found.reasons.items():
        if samples[index] is not None and all(rows[index] is None for rows in found.features.values()):
            reasons[index] = reason
    return reasons


def _identify(sample: Sample | None, content: Content | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    known = {k: v for k, v in vars(content).items() if v} if content else {"unreadable": True}
    return {"id": sample.source.id, "text": sample.text, **known}


def signature(metric: Metric, sizes: Sequence[str]) -> str:
    """What makes two numbers comparable: name | variant | extractors | sizes | version."""
    extractors = "+".join(f"{e.name}-{digest_of({'n': e.name, **e.spec()})[:6]}" for e in metric.extractors())
    size = ",".join(sizes) if len(sizes) <= 3 else f"{len(sizes)} sizes"
    return f"{metric.name}|{metric.variant}|extractors:{extractors}|size:{size}|version:{metric.version}"


def _record(
    run: RunSpec,
    metric: Metric,
    score: Score,
    sizes: Sequence[str],
    found: Extraction,
    counts: Counts,
    unreadable: int,
    reference: Mapping[str, Any] | None,
) -> Record:
    if score.per_sample is not None:
        estimate = mean_estimate(score.per_sample)
    elif score.replicates is not None:
        estimate = bootstrap_estimate(score.value, score.replicates, score.num_scored)
    else:
        estimate = None
    kinds = {e.weights for e in metric.extractors()}
    return Record(
        run_id=run.run_id,
        digest=run.digest,
        system=run.system,
        dataset=run.dataset,
        seed=run.seed,
        weights=run.weights,
        metric=full_name(metric),
        signature=signature(metric, sizes),
        value=finite(score.value),
        stderr=finite(score.stderr),
        low=finite(estimate.low) if estimate else None,
        high=finite(estimate.high) if estimate else None,
        higher_is_better=metric.higher_is_better,
        n_expected=counts.expected,
        n_present=sum(c is not None for c in found.contents),
        n_failed=counts.failed + unreadable,
        n_nonfinite=counts.nonfinite,
        n_unscored=score.num_unscored,
        n_scored=score.num_scored,
        baseline=finite(score.baseline),
        baseline_stderr=finite(score.baseline_stderr),
        lossy=any(c.codecs.endswith("lossy") for c in found.contents if c),
        extractor_weights=least_real(kinds),
        reference=reference,
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        details=dict(score.details),
        video_of=run.video_of,
    )
