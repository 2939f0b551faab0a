"""JavisScore and AVHScore: how well every frame agrees with the sound, as JavisBench (arXiv 2503.23377) asks.

Preset javisbench is JavisVerse/JavisDiT@b505b37:eval/javisbench, with the windows of its main.py. Both take the cosine
of each frame's ImageBind embedding with a sound's. AVHScore is the mean over all frames, with the whole sound.
JavisScore takes windows of 2 s every half second, with their own sound, and of each the 40 % of frames that agree
least, so that a moment out of step is not outweighed. A clip of up to 2 s is one window. Where a window holds fewer
than three frames (below 1.5 per second) there is no 40 %, and the clip is unscored; the original then has NaN for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.arithmetic.sliding_windows import least_agreement, paired_windows
from mmbench.metrics.extractors.imagebind import ImageBindAudio
from mmbench.metrics.extractors.imagebind_frames import ImageBindAudioWindows, ImageBindFrames
from mmbench.metrics.imagebind import cosine
from mmbench.registry import register
from mmbench.statistics.shuffled import shuffled_pairs, shuffled_score
from mmbench.types import Extractor, Features, FeatureTable, Score

NUM_SHUFFLES = 8
BATCH = 4  # clips; long ones are large


class FrameScore(ABC):
    """Mean agreement of the frames of a clip with its sound, over samples, from -1 to 1.

    Args:
        variant: "javisbench".
        weights: Of ImageBind, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name: str
    version = 1
    higher_is_better = True
    needs_reference = False
    variants = ("javisbench",)
    undefined = ""  # what is said of a clip of which `judge` gives NaN

    def __init__(
        self, variant: str = "javisbench", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.variants:
            raise UsageError(f"Unknown variant {variant!r} of {self.name}.", f"one of {', '.join(self.variants)}")
        self.variant = variant
        self.frames = ImageBindFrames(weights, device=device, batch_size=BATCH)
        self.sound = ImageBindAudio(weights, device=device, batch_size=BATCH)
        self.windows = ImageBindAudioWindows(weights, device=device, batch_size=BATCH)

    @abstractmethod
    def extractors(self) -> Sequence[Extractor]:
        """What `judge` is given, the frames first."""

    @abstractmethod
    def judge(self, frames: Features, *sounds: Features) -> float:
        """The agreement of a clip's frames with a sound; NaN where it is undefined."""

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Mean over samples; the baseline pairs frames with the sounds of other scored samples."""
        clips = list(zip(*(features[e.name] for e in self.extractors()), strict=True))
        whole = {i: [f for f in clip if f is not None] for i, clip in enumerate(clips) if None not in clip}
        values = np.full(len(clips), np.nan)
        for i, clip in whole.items():
            values[i] = self.judge(*clip)
        scored = [i for i in whole if not np.isnan(values[i])]

        def pair(i: int, j: int) -> float:
            return self.judge(whole[scored[i]][0], *whole[scored[j]][1:])

        return shuffled_score(
            values,
            shuffled_pairs(pair, scored, NUM_SHUFFLES, seed),
            num_unscored=len(whole) - len(scored),
            reasons={i: self.undefined for i in whole if np.isnan(values[i])},
        )


@register("metric", "javis_score", "Agreement of the frames that agree least with their sound (JavisScore)")
class JavisScore(FrameScore):
    """Mean over windows of 2 s of the cosines of the 40 % of frames that agree least with the window's sound."""

    name = "javis_score"
    undefined = "A window of 2 s holds fewer than three frames, of which 40 % are none."

    def extractors(self) -> Sequence[Extractor]:
        """Frames, the windows of the sound, and the whole of it, for clips that are one window."""
        return self.frames, self.windows, self.sound

    def judge(self, frames: Features, *sounds: Features) -> float:
        """As `least_agreement`; NaN where a window holds fewer than three frames."""
        rows, (windows, sound) = frames["frames"], sounds
        samples = int(windows["samples"])
        try:
            shown, heard = paired_windows(len(rows), float(frames["fps"]), samples)
        except MMBenchError:  # windows of one or two frames that overlap by as many
            return float("nan")
        heard_rows = sound["embedding"][None] if heard == [(0, samples)] else windows["windows"]
        return least_agreement([cosine(rows[slice(*w)], row) for w, row in zip(shown, heard_rows, strict=False)])


@register("metric", "avh_score", "Agreement of every frame with the whole sound (AVHScore)")
class AVHScore(FrameScore):
    """Mean cosine of all frames with the whole sound."""

    name = "avh_score"

    def extractors(self) -> Sequence[Extractor]:
        """Frames and sound."""
        return self.frames, self.sound

    def judge(self, frames: Features, *sounds: Features) -> float:
        """The mean cosine of the frames with the sound."""
        return float(cosine(frames["frames"], sounds[0]["embedding"]).mean())
