"""FVD: the Fréchet distance between I3D logits of generated and of real videos.

Preset stylegan_v_16f is universome/stylegan-v@3fecd69:src/metrics/frechet_video_distance.py (`fvd2048_16f`), which
MMDisCo used (arXiv 2405.17842): 16 frames stretched to 224x224, the TF-Hub I3D, covariances with ddof 0. Longer clips
are judged by their first 16 frames; the original takes a random stretch of longer real clips and is not reproducible
there. Compare equal numbers of clips only: the distance has a floor that falls with n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.extractors import I3DExtractor
from mmbench.metrics.frechet_score import frechet_score
from mmbench.registry import register
from mmbench.types import Extractor, FeatureTable, Score


@register("metric", "fvd", "Fréchet video distance (I3D)")
class FVD:
    """Fréchet video distance.

    Args:
        variant: One of `FVD.variants`.
        weights: Of I3D, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name: str = "fvd"
    version: int = 1
    higher_is_better: bool = False
    needs_reference: bool = True
    variants = ("stylegan_v_16f",)

    def __init__(
        self, variant: str = "stylegan_v_16f", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of fvd.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        self.i3d = I3DExtractor(weights, device=device)

    def extractors(self) -> Sequence[Extractor]:
        """I3D."""
        return (self.i3d,)

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Distance of the generated from the real videos.

        Raises:
            MMBenchError: There is no reference.
        """
        if reference is None:
            raise MMBenchError("FVD was given no real videos.", "a reference set", "name a dataset")
        return frechet_score(features[self.i3d.name], reference[self.i3d.name], "logits", ddof=0, seed=seed)
