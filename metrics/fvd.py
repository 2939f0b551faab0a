"""FVD: the Fréchet distance between I3D logits of generated and of real videos.

Preset stylegan_v_16f is universome/stylegan-v@3fecd69:src/metrics/frechet_video_distance.py (`fvd2048_16f`), which
MMDisCo used (arXiv 2405.17842): 16 frames stretched to 224x224, the TF-Hub I3D, covariances with ddof 0. Longer clips
are judged by their first 16 frames; the original takes a random stretch of longer real clips and is not reproducible
there. Compare equal numbers of clips only: the distance has a floor that falls with n. KVD, which has none, stands
beside it: researchmm/MM-Diffusion@7250222:mm_diffusion/evaluator.py, on the same logits.

Preset stylegan_v_16f_bfloat16 is the same with I3D in bfloat16, and weights by channel: faster where the hardware has
it, and another number, which depends on the machine.
"""

from __future__ import annotations

from typing import Literal

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic.frechet_metric import FrechetMetric
from mmbench.metrics.extractors.i3d import I3DExtractor
from mmbench.metrics.extractors.precision import precision_of
from mmbench.registry import register


@register("metric", "fvd", "Fréchet video distance (I3D)")
class FVD(FrechetMetric):
    """Fréchet video distance, with the kernel video distance (KVD) in its details.

    Args:
        variant: One of `FVD.variants`.
        weights: Of I3D, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name = "fvd"
    variants = ("stylegan_v_16f", "stylegan_v_16f_bfloat16")
    feature, ddof, kernel_distance = "logits", 0, "kvd"

    def __init__(
        self, variant: str = "stylegan_v_16f", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of fvd.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        self.extractor = I3DExtractor(weights, device=device, precision=precision_of(variant))
