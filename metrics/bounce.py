"""Scores of the bounce dataset on networks that come with the package: two Fréchet distances and three agreements.

The same arithmetic as FVD, FAD and the ImageBind scores, on features that know materials, sizes, and when balls hit.
Their values compare systems on bounce with each other and with nothing else. Networks: `bounce_networks`.
"""

from __future__ import annotations

from typing import ClassVar

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic.frechet_metric import FrechetMetric
from mmbench.metrics.extractors.bounce import BounceAudio, BounceExtractor, BounceText, BounceVideo
from mmbench.metrics.imagebind import ImageBindScore
from mmbench.registry import register

VARIANT = "bounce_v1"


def _checked(name: str, variant: str) -> str:
    if variant != VARIANT:
        raise UsageError(f"Unknown variant {variant!r} of {name}.", VARIANT)
    return variant


class BounceFrechet(FrechetMetric):
    """Fréchet distance between features of generated and of real clips; a feature has variance 1 on real clips.

    Args:
        variant: "bounce_v1".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    variants = (VARIANT,)
    feature = "features"
    tower: ClassVar[type[BounceExtractor]]

    def __init__(self, variant: str = VARIANT, device: str = "auto") -> None:
        self.variant = _checked(self.name, variant)
        self.extractor = self.tower(device=device)


@register("metric", "fvd_bounce", "Fréchet video distance on the package's own bounce features")
class FVDBounce(BounceFrechet):
    """Distance of videos, with FVD's ddof and kernel distance."""

    name = "fvd_bounce"
    tower = BounceVideo
    ddof, kernel_distance = 0, "kvd"


@register("metric", "fad_bounce", "Fréchet audio distance on the package's own bounce features")
class FADBounce(BounceFrechet):
    """Distance of sounds, with FAD's ddof and kernel distance."""

    name = "fad_bounce"
    tower = BounceAudio
    ddof, kernel_distance = 1, "kad"


class BounceAgreement(ImageBindScore):
    """Mean cosine of two towers' embeddings over samples.

    Args:
        variant: "bounce_v1".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    variants = (VARIANT,)
    towers: ClassVar[tuple[type[BounceExtractor], type[BounceExtractor]]]

    def __init__(self, variant: str = VARIANT, device: str = "auto") -> None:
        self.variant = _checked(self.name, variant)
        self.first, self.second = (tower(device=device) for tower in self.towers)


@register("metric", "ib_bounce_tv", "Agreement of prompt and video (cosine of bounce embeddings)")
class IBBounceTV(BounceAgreement):
    """Cosine of prompt and video."""

    name = "ib_bounce_tv"
    towers = (BounceText, BounceVideo)


@register("metric", "ib_bounce_ta", "Agreement of prompt and sound (cosine of bounce embeddings)")
class IBBounceTA(BounceAgreement):
    """Cosine of prompt and sound."""

    name = "ib_bounce_ta"
    towers = (BounceText, BounceAudio)


@register(
    "metric", "ib_bounce_av", "Agreement of video and sound (cosine of bounce embeddings), beside its shuffled baseline"
)
class IBBounceAV(BounceAgreement):
    """Cosine of video and sound."""

    name = "ib_bounce_av"
    towers = (BounceVideo, BounceAudio)
    shuffles = True
