"""A system, a dataset and three metrics that cost next to nothing, so that what is measured is the harness.

`scripts/measure_growth.py` names it as --plugin. Clips are real ones of the store, 4 frames of 16x16 and 0.25 s of
sound; metrics have the arithmetic of the published ones (a mean over samples with shuffled pairs, FVD with KVD, FAD
with KAD) on features of eight numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from mmbench.metrics.arithmetic.frechet_metric import FrechetMetric
from mmbench.metrics.imagebind import cosine
from mmbench.registry import register
from mmbench.statistics.shuffled import shuffled_pairs, shuffled_score
from mmbench.types import Clip, ClipFormat, Features, FeatureTable, Item, Prompt, Request, Score

FORMAT = ClipFormat(num_frames=4, height=16, width=16, fps=16.0, num_samples=2000, sample_rate=8000)
COLOURS, DIMENSIONS, SHUFFLES = ("red", "green", "blue", "grey"), 8, 8


def noise_clip(request: Request, stream: str) -> Clip:
    """A clip of blocks of colour and of noise, both compressible."""
    video, audio = request.rng(f"{stream}-video"), request.rng(f"{stream}-audio")
    blocks = video.random((FORMAT.num_frames, 2, 2, 3)).repeat(FORMAT.height // 2, 1).repeat(FORMAT.width // 2, 2)
    return Clip.from_float(blocks, FORMAT.fps, audio.uniform(-0.5, 0.5, FORMAT.num_samples), FORMAT.sample_rate)


@register("system", "growth_system", "noise, at once")
class GrowthSystem:
    """Clips of noise."""

    name, weights = "growth_system", "none"

    def __init__(self, **_: Any) -> None:
        pass

    def spec(self) -> Mapping[str, Any]:
        return {"version": 1}

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        for request in requests:
            yield noise_clip(request, self.name)


@register("dataset", "growth_dataset", "noise with four prompts")
class GrowthDataset:
    """Real clips of noise."""

    name = "growth_dataset"
    format = FORMAT
    default_metrics = ("growth_pairs", "growth_fvd", "growth_fad")

    def spec(self) -> Mapping[str, Any]:
        return {"version": 1}

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        return [Prompt(f"p{i}", COLOURS[i % len(COLOURS)], {"colour": COLOURS[i % len(COLOURS)]}) for i in range(num)]

    def real(self, request: Request, stream: str) -> Item:
        return Item(f"{request.index}-{stream}", request.prompt, noise_clip(request, stream))

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        requests = [Request(p, i, seed) for i, p in enumerate(self.prompts(num or 4, seed))]
        return [self.real(r, "reference") for r in requests]


class Means:
    """Eight means of one half of a clip."""

    batch_size, weights = 1, "none"

    def __init__(self, modality: Literal["video", "audio"]) -> None:
        self.modality, self.name = modality, f"growth_{modality}"

    def spec(self) -> Mapping[str, Any]:
        return {"version": 1}

    def extract(self, batch: Sequence[Clip]) -> list[Features]:
        halves = (getattr(clip, self.modality).astype(np.float64).ravel() for clip in batch)
        return [{"means": np.array([part.mean() for part in np.array_split(x, DIMENSIONS)])} for x in halves]


@register("metric", "growth_pairs", "cosine of picture and sound, beside its shuffled baseline")
class GrowthPairs:
    """As ImageBind's AV score."""

    name, variant, version = "growth_pairs", "plain", 1
    higher_is_better, needs_reference = True, False

    def __init__(self) -> None:
        self.halves = Means("video"), Means("audio")

    def extractors(self) -> Sequence[Means]:
        return self.halves

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        first, second = ([f and f["means"] for f in features[half.name]] for half in self.halves)
        known = [i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a is not None and b is not None]
        values = np.full(len(first), np.nan)
        values[known] = [cosine(first[i], second[i]) for i in known]

        def shuffled(i: int, j: int) -> float:
            return float(cosine(first[known[i]], second[known[j]]))

        return shuffled_score(values, shuffled_pairs(shuffled, known, SHUFFLES, seed))


class GrowthFrechet(FrechetMetric):
    """A Fréchet distance on the eight means."""

    variant, feature = "plain", "means"


@register("metric", "growth_fvd", "Fréchet distance of pictures, with KVD")
class GrowthFVD(GrowthFrechet):
    """As FVD."""

    name, ddof, kernel_distance = "growth_fvd", 0, "kvd"

    def __init__(self) -> None:
        self.extractor = Means("video")


@register("metric", "growth_fad", "Fréchet distance of sounds, with KAD")
class GrowthFAD(GrowthFrechet):
    """As FAD."""

    name, ddof, kernel_distance = "growth_fad", 1, "kad"

    def __init__(self) -> None:
        self.extractor = Means("audio")
