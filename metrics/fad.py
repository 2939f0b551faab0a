"""FAD: the Fréchet distance between VGGish embeddings of generated and of real sounds.

Preset audioldm_eval is haoheliu/audioldm_eval@8dc07ee:audioldm_eval/metrics/fad.py, which MMDisCo used
(arXiv 2405.17842): first channel, centred, padded to 2 s, one embedding per 0.96 s, taken before the last ReLU, all
pooled; covariances with ddof 1. Its mean in float32 is a float64 mean here (1e-6 relative). Google's original FAD
normalises peaks and overlaps windows, so its values are not comparable. KAD (YoonjinXD/kadtk@8bda71d) stands
beside it, on the same embeddings.
"""

from __future__ import annotations

from typing import Literal

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic.frechet_metric import FrechetMetric
from mmbench.metrics.extractors.vggish import VGGishExtractor
from mmbench.registry import register


@register("metric", "fad", "Fréchet audio distance (VGGish)")
class FAD(FrechetMetric):
    """Fréchet audio distance, with the kernel audio distance (KAD) in its details.

    Args:
        variant: One of `FAD.variants`.
        weights: Of VGGish, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name = "fad"
    variants = ("audioldm_eval",)
    feature, ddof, kernel_distance = "embedding", 1, "kad"

    def __init__(
        self, variant: str = "audioldm_eval", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of fad.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        self.extractor = VGGishExtractor(weights, device=device)
