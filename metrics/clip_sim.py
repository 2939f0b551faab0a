"""CLIP-SIM: how well the frames of a video agree with its prompt, as cosines of CLIP ViT-B/32's embeddings.

Presets, of 48 evenly spaced frames each:

javisbench_bgr: JavisVerse/JavisDiT@b505b37:eval/javisbench/src/metrics.py, which swaps the channels of its frames once
    too often: CLIP sees blue where red belongs. This is what tables of JavisBench print.
rgb: the same with the channels in their right order.

The original runs in half precision on a GPU, about 1e-3 of the value away from float32, which this is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from mmbench.errors import UsageError
from mmbench.metrics.extractors.clip import CLIPText, CLIPVideo
from mmbench.registry import register
from mmbench.statistics.estimates import mean_score
from mmbench.types import Extractor, FeatureTable, Score


@register("metric", "clip_sim", "Agreement of prompt and frames (CLIP-SIM)")
class CLIPSim:
    """Mean cosine of a clip's frames and its prompt, over samples, from -1 to 1.

    Prompts repeat, so there is no shuffled baseline: a shuffled prompt may be the right one.

    Args:
        variant: "javisbench_bgr" or "rgb".
        weights: Of CLIP, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name, version = "clip_sim", 1
    higher_is_better = True
    needs_reference = False
    variants = ("javisbench_bgr", "rgb")

    def __init__(
        self, variant: str = "javisbench_bgr", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of clip_sim.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        self.video = CLIPVideo(weights, device=device, bgr=variant == "javisbench_bgr")
        self.text = CLIPText(weights, device=device)

    def extractors(self) -> Sequence[Extractor]:
        """The two towers."""
        return self.video, self.text

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Mean over the samples that have a video and a prompt."""
        pairs = list(zip(features[self.video.name], features[self.text.name], strict=True))
        values = np.full(len(pairs), np.nan)
        for i, (video, text) in enumerate(pairs):
            if video is not None and text is not None:
                values[i] = float(video["embedding"].astype(np.float64) @ text["embedding"].astype(np.float64))
        return mean_score(values)
