"""The real clip that each sample is compared with, for metrics that compare in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmbench.baselines.ground_truth import STREAM
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Extraction, Sample, extract
from mmbench.features.reference import ItemSource
from mmbench.identity import digest_of
from mmbench.optional_protocols import NamedItems
from mmbench.progress import Stage
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.types import Clip, Dataset, Extractor, Features, Request

ALONE = "no real clip has its name, or its prompt at its place"


@dataclass(frozen=True)
class RealClip:
    """The real clip of a request, as the system `ground_truth` shows it, as a ClipSource."""

    dataset: Dataset
    request: Request
    digest: str

    @property
    def id(self) -> str:
        return f"{self.request.index:06d}"

    def load(self) -> Clip:
        return self.dataset.real(self.request, STREAM).clip


@dataclass(frozen=True)
class Partners:
    """Features of the real clip of each sample.

    Attributes:
        features: By extractor; None for a sample that has no real clip, or whose real clip has no such features.
        reasons: (extractor name, sample position) -> why there are none.
        about: What a record says of them.
    """

    features: Mapping[str, Sequence[Features | None]]
    reasons: Mapping[tuple[str, int], str]
    about: Mapping[str, Any]

    def only_pairs(self, found: Extraction) -> Extraction:
        """Features of samples, without those whose real clip has none."""
        features, reasons = dict(found.features), dict(found.reasons)
        for name, theirs in self.features.items():
            pairs = list(zip(found.features[name], theirs, strict=True))
            features[name] = [None if real is None else ours for ours, real in pairs]
            lost = [i for i, (ours, real) in enumerate(pairs) if ours is not None and real is None]
            reasons |= {(name, i): self.reasons.get((name, i), ALONE) for i in lost}
        return replace(found, features=features, reasons=reasons)


def find_partners(
    dataset: Dataset,
    run: RunSpec,
    samples: Sequence[Sample | None],
    extractors: Sequence[Extractor],
    cache: FeatureCache,
    workers: int | None = None,
    stage: Stage | None = None,
) -> Partners:
    """Features of the real clip of each sample.

    The samples of a run have the clips that `ground_truth` shows for the same prompts. Clips made elsewhere have the
    real clips of their file names or, where no name is known, what a run would have, if their prompts are the run's.

    Args:
        dataset: Gives the real clips.
        run: What the samples are of.
        samples: Sample i, None where missing.
        extractors: Whose features are wanted.
        cache: Read and added to.
        workers: Processes for plain CPU extractors.
        stage: Of the job's progress.
    """
    real = _of_names(dataset, samples) if _is_submission(run) else []
    rule = "file name" if any(real) else "prompt and index"
    real = real if any(real) else _of_prompts(dataset, run, samples)
    found = extract(real, extractors, cache, workers=workers, stage=stage)
    reasons = {place: f"its real clip: {reason}" for place, reason in found.reasons.items()}
    sizes = sorted({content.size for content in found.contents if content})
    return Partners(found.features, reasons, {"dataset": dataset.name, "paired_by": rule, "formats": sizes})


def _is_submission(run: RunSpec) -> bool:
    return "submission" in run.spec


def _of_names(dataset: Dataset, samples: Sequence[Sample | None]) -> list[Sample | None]:
    """Real clips of the samples' names; a name whose prompts are known and differ says nothing."""
    items = dataset.reference(None, 0)
    if not isinstance(items, NamedItems):
        return []
    places = {name: (i, text) for i, (name, text) in enumerate(zip(items.ids, items.texts, strict=True))}
    digest = digest_of({"dataset": dict(dataset.spec()), "order": "named"})
    found: list[Sample | None] = []
    for sample in samples:
        place, text = places.get(sample.source.id, (-1, "")) if sample else (-1, "")
        alike = sample is not None and place >= 0 and (not text or not sample.text or text == sample.text)
        found.append(Sample(ItemSource(items, place, digest), text) if alike else None)
    return found


def _of_prompts(dataset: Dataset, run: RunSpec, samples: Sequence[Sample | None]) -> list[Sample | None]:
    """Real clips of a run's requests; of clips made elsewhere, where the prompt is the request's."""
    digest, sure = digest_of(dict(dataset.spec())), not _is_submission(run)
    found: list[Sample | None] = []
    for sample, request in zip(samples, make_requests(dataset, len(samples), run.seed), strict=True):
        text = request.prompt.text
        if sample is not None and (sure or (text and sample.text == text)):
            key = digest_of([digest, run.seed, request.prompt.id, request.index, STREAM])
            found.append(Sample(RealClip(dataset, request, key), text))
        else:
            found.append(None)
    return found
