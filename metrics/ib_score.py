"""IB-score: how well sound and picture agree, as the papers on sound for video compute it.

Preset avbench is hkchengrex/av-benchmark@050a5cd: of the first eight seconds four frames, 2 s apart, each with the next
one in three crops, which makes nine views; of the whole sound three views of 2 s; the cosine of the two mean ImageBind
embeddings, then the mean. Papers print it times 100. `ib_av` is the same cosine under ImageBind's own loaders, and
another number. Clips of 4 to 8 s are judged by what they have, as av-benchmark does when it is told their length.
"""

from __future__ import annotations

from typing import Literal

from mmbench.metrics.extractors.imagebind import ImageBindAudio
from mmbench.metrics.extractors.imagebind_slow import SHORTEST, ImageBindSlowVideo
from mmbench.metrics.imagebind import ImageBindScore
from mmbench.registry import register


@register("metric", "ib_score", "Agreement of video and sound (av-benchmark's IB-score), beside its shuffled baseline")
class IBScore(ImageBindScore):
    """Mean cosine of a video's and its sound's ImageBind embeddings, from -1 to 1.

    Args:
        variant: "avbench".
        weights: Of ImageBind, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name = "ib_score"
    variants = ("avbench",)
    towers = (ImageBindSlowVideo, ImageBindAudio)
    batch_size = 4  # clips of eight seconds are large
    shuffles = True
    min_seconds = SHORTEST

    def __init__(
        self, variant: str = "avbench", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        super().__init__(variant, weights, device)
