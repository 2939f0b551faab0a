"""What an evaluator keeps of a clip: what it holds by digest, and its features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mmbench.api.clips import Clips
from mmbench.errors import MMBenchError
from mmbench.features.cache import FeatureCache
from mmbench.features.content import Content
from mmbench.features.extract import Extraction, Sample, extract
from mmbench.media.padding import FITTED
from mmbench.media.sources import natural_key
from mmbench.scores.evaluate import Evaluation
from mmbench.types import Clip, Features


@dataclass(frozen=True)
class HeldClip:
    """A clip in memory as a ClipSource; without one it names a clip whose features are known."""

    id: str
    clip: Clip | None = None
    digest: str = ""

    def load(self) -> Clip:
        """The clip."""
        if self.clip is None:
            raise MMBenchError(f"{self.id} is not kept: its features are.", "a clip in memory")
        return self.clip


@dataclass(frozen=True)
class KeptSample:
    """A sample without its pixels.

    Attributes:
        id: Its name.
        text: Its prompt.
        content: Digests, size and codecs of its clip.
        features: By extractor; None where it has none.
        reasons: By extractor, why it has none.
    """

    id: str
    text: str
    content: Content
    features: dict[str, Features | None]
    reasons: dict[str, str]


def look_at(clips: Clips, evaluation: Evaluation) -> list[KeptSample]:
    """Features of clips under every extractor of an evaluation."""
    contents = [_describe(clip) for clip in clips.clips]
    named = zip(clips.ids, clips.prompts, clips.clips, contents, strict=True)
    samples = [Sample(HeldClip(name, clip), text, content) for name, text, clip, content in named]
    extractors = list(evaluation.extractors.values())
    found = extract(samples, extractors, FeatureCache(None), workers=evaluation.workers)
    return [
        KeptSample(
            sample.source.id,
            sample.text,
            contents[i],
            {e.name: found.features[e.name][i] for e in extractors},
            {e.name: found.reasons[e.name, i] for e in extractors if (e.name, i) in found.reasons},
        )
        for i, sample in enumerate(samples)
    ]


def _describe(clip: Clip) -> Content:
    fitted = str(clip.notes.get(FITTED, ""))
    return Content(clip.video_digest(), clip.audio_digest(), clip.size(), clip.codecs(), fitted)


def in_order(kept: Iterable[KeptSample]) -> list[KeptSample]:
    """Samples in natural order of their ids, in which the files of a folder are read, too."""
    return sorted(kept, key=lambda k: (natural_key(k.id), k.id))


def as_samples(kept: Sequence[KeptSample]) -> list[Sample | None]:
    """Samples of an evaluation whose clips are no longer held."""
    return [Sample(HeldClip(k.id), k.text, k.content) for k in kept]


def as_extraction(kept: Sequence[KeptSample], extractors: Sequence[str]) -> Extraction:
    """Features by extractor."""
    features: Any = {name: [k.features[name] for k in kept] for name in extractors}
    reasons = {(name, i): reason for i, k in enumerate(kept) for name, reason in k.reasons.items()}
    return Extraction(features, [k.content for k in kept], reasons)
