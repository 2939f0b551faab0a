"""Audiobox Aesthetics: what would people say of the sound? Four scores of about 1 to 10 (arXiv 2502.05139).

CE is content enjoyment, CU content usefulness, PC production complexity, PQ production quality. They are four metrics
and have no mean: a complex sound is no better and no worse than a plain one. The arrow of PC points down, as
Verse-Bench prints it; JavisBench adds PC to the other three instead.

Preset float32 is facebookresearch/audiobox-aesthetics@2618e9d (src/audiobox_aesthetics/infer.py) in single precision,
which for its default, bfloat16, depends on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from mmbench.errors import UsageError
from mmbench.metrics.extractors.audiobox import AudioboxExtractor
from mmbench.registry import register
from mmbench.statistics.estimates import mean_score
from mmbench.types import Extractor, FeatureTable, Score


class Aesthetics:
    """Mean of one of the four scores over samples.

    Args:
        variant: "float32".
        weights: Of the network, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name: str
    version: int = 1
    higher_is_better: bool = True
    needs_reference: bool = False
    variants = ("float32",)
    place: ClassVar[int]  # among the scores that the extractor gives

    def __init__(
        self, variant: str = "float32", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of {self.name}.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        self.extractor = AudioboxExtractor(weights, device=device)

    def extractors(self) -> Sequence[Extractor]:
        """The network, which gives all four scores at once."""
        return (self.extractor,)

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Mean over the samples that have a sound; `silent` in the details counts those that are digital silence."""
        heard = features[self.extractor.name]
        values = np.array([np.nan if f is None else f["scores"][self.place] for f in heard], np.float64)
        return mean_score(values, details={"silent": sum(bool(f["silent"]) for f in heard if f is not None)})


@register("metric", "audiobox_ce", "Content enjoyment of the sound (Audiobox Aesthetics)")
class ContentEnjoyment(Aesthetics):
    """Content enjoyment: is it a pleasure to hear?"""

    name, place = "audiobox_ce", 0


@register("metric", "audiobox_cu", "Content usefulness of the sound (Audiobox Aesthetics)")
class ContentUsefulness(Aesthetics):
    """Content usefulness: could it serve as material for other work?"""

    name, place = "audiobox_cu", 1


@register("metric", "audiobox_pc", "Production complexity of the sound (Audiobox Aesthetics); neither end is better")
class ProductionComplexity(Aesthetics):
    """Production complexity: how many components does the scene have?"""

    name, place = "audiobox_pc", 2
    higher_is_better = False


@register("metric", "audiobox_pq", "Production quality of the sound (Audiobox Aesthetics)")
class ProductionQuality(Aesthetics):
    """Production quality: is it technically sound?"""

    name, place = "audiobox_pq", 3
