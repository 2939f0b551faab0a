"""FAD: the Fréchet distance between VGGish embeddings of generated and of real sounds.

Preset audioldm_eval is haoheliu/audioldm_eval@8dc07ee:audioldm_eval/metrics/fad.py, which MMDisCo used
(arXiv 2405.17842): first channel, centred, padded to 2 s, one embedding per 0.96 s, taken before the last ReLU, all
pooled; covariances with ddof 1. Its mean in float32 is a float64 mean here (1e-6 relative). Google's original FAD
normalises peaks and overlaps windows, so its values are not comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.extractors import VGGishExtractor
from mmbench.metrics.frechet_score import frechet_score
from mmbench.registry import register
from mmbench.types import Extractor, FeatureTable, Score


@register("metric", "fad", "Fréchet audio distance (VGGish)")
class FAD:
    """Fréchet audio distance.

    Args:
        variant: One of `FAD.variants`.
        weights: Of VGGish, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name: str = "fad"
    version: int = 1
    higher_is_better: bool = False
    needs_reference: bool = True
    variants = ("audioldm_eval",)

    def __init__(
        self, variant: str = "audioldm_eval", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of fad.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        self.vggish = VGGishExtractor(weights, device=device)

    def extractors(self) -> Sequence[Extractor]:
        """VGGish."""
        return (self.vggish,)

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Distance of the generated from the real sounds.

        Raises:
            MMBenchError: There is no reference.
        """
        if reference is None:
            raise MMBenchError("FAD was given no real sounds.", "a reference set", "name a dataset")
        return frechet_score(features[self.vggish.name], reference[self.vggish.name], "embedding", ddof=1, seed=seed)
