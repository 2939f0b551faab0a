"""ImageBind scores: how well video, sound and text of a sample agree, as cosines of their ImageBind embeddings.

IB-TV and IB-TA compare the prompt with the video and with the sound, IB-AV the video with the sound: per sample, then
the mean, as in SonyResearch/SVG_baseline@e8ebd06:py_scripts/evaluation/compute_imagebind_score.py. A video of up to two
seconds is judged by its first and last frame alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from mmbench.errors import UsageError
from mmbench.metrics.extractors.base import NetworkExtractor
from mmbench.metrics.extractors.imagebind import ImageBindAudio, ImageBindText, ImageBindVideo
from mmbench.metrics.extractors.precision import precision_of
from mmbench.registry import register
from mmbench.statistics.estimates import mean_score
from mmbench.statistics.shuffled import shuffled_pairs, shuffled_score
from mmbench.types import Extractor, FeatureTable, Score

EPS = 1e-6  # of torch.nn.CosineSimilarity(dim=1, eps=1e-6)
NUM_SHUFFLES = 8


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosines (...), float64, along the last axis of two (..., d) arrays; no norm counts as less than 1e-6."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    norms = [np.maximum(np.linalg.norm(v, axis=-1), EPS) for v in (x, y)]
    return np.sum(x * y, axis=-1) / (norms[0] * norms[1])


class ImageBindScore:
    """Mean cosine of two modalities' embeddings over samples.

    Args:
        variant: "official", ImageBind's own loaders with all defaults; "official_bfloat16", the same with towers that
            compute in bfloat16: another number, which depends on the machine.
        weights: Of the networks, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name: str
    version: int = 1
    higher_is_better: bool = True
    needs_reference: bool = False
    variants: tuple[str, ...] = ("official", "official_bfloat16")
    towers: ClassVar[tuple[type[NetworkExtractor], type[NetworkExtractor]]]
    batch_size: ClassVar[int | None] = None  # of the towers; None is their own
    shuffles: ClassVar[bool] = False  # prompts repeat, so a shuffled prompt may be the right one

    def __init__(
        self, variant: str = "official", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of {self.name}.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        options: dict[str, Any] = {"batch_size": self.batch_size, "precision": precision_of(variant)}
        self.first, self.second = (tower(weights, device=device, **options) for tower in self.towers)

    def extractors(self) -> Sequence[Extractor]:
        """The two towers."""
        return self.first, self.second

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Mean over the samples that have both features; IB-AV's baseline pairs videos with sounds of other samples."""
        pairs = list(zip(features[self.first.name], features[self.second.name], strict=True))
        found = [
            (i, a["embedding"], b["embedding"]) for i, (a, b) in enumerate(pairs) if a is not None and b is not None
        ]
        values = np.full(len(pairs), np.nan)
        for i, a, b in found:
            values[i] = cosine(a, b)

        def shuffled(i: int, j: int) -> float:
            return float(cosine(found[i][1], found[j][2]))

        if not self.shuffles:
            return mean_score(values)
        return shuffled_score(values, shuffled_pairs(shuffled, [i for i, _, _ in found], NUM_SHUFFLES, seed))


@register("metric", "ib_tv", "Agreement of prompt and video (ImageBind cosine)")
class IBTV(ImageBindScore):
    """Cosine of prompt and video."""

    name = "ib_tv"
    towers = (ImageBindText, ImageBindVideo)


@register("metric", "ib_ta", "Agreement of prompt and sound (ImageBind cosine)")
class IBTA(ImageBindScore):
    """Cosine of prompt and sound."""

    name = "ib_ta"
    towers = (ImageBindText, ImageBindAudio)


@register("metric", "ib_av", "Agreement of video and sound (ImageBind cosine), beside its shuffled baseline")
class IBAV(ImageBindScore):
    """Cosine of video and sound."""

    name = "ib_av"
    towers = (ImageBindVideo, ImageBindAudio)
    shuffles = True
