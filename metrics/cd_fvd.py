"""cd-FVD: the content-debiased Fréchet video distance (arXiv 2404.12391), which sees motion where FVD sees pictures.

Preset vit_g_ssv2_16f is songweige/content-debiased-fvd@a1e037a:cdfvd/fvd.py with `model="videomae"`: 16 frames
stretched to 224x224, 1408 features of VideoMAE-v2 ViT-g (fine-tuned on Something-Something v2) before its head,
covariances with ddof 0. As in `fvd`, longer clips are judged by their first 16 frames; the original takes a random
stretch. Its matrix square root fails where there are fewer clips than features (-1.9e28 was reported); this one does
not, but the distance still has a floor that falls with n. Its kernel distance stands beside it.
"""

from __future__ import annotations

from typing import Literal

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic.frechet_metric import FrechetMetric
from mmbench.metrics.extractors.videomae import VideoMAEExtractor
from mmbench.registry import register


@register("metric", "cd_fvd", "Content-debiased Fréchet video distance (VideoMAE-v2)")
class CDFVD(FrechetMetric):
    """Content-debiased Fréchet video distance, with the kernel distance of the same features in its details.

    Args:
        variant: "vit_g_ssv2_16f".
        weights: Of VideoMAE-v2, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name = "cd_fvd"
    variants = ("vit_g_ssv2_16f",)
    feature, ddof, kernel_distance = "features", 0, "kvd"

    def __init__(
        self, variant: str = "vit_g_ssv2_16f", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of cd_fvd.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        self.extractor = VideoMAEExtractor(weights, device=device)
