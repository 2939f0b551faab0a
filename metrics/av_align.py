"""AV-Align: do sounds begin when the picture moves? Onsets are matched with peaks of the optical flow.

Presets (formulas in `event_matching`):

mmdisco_96ms: TempoTokens v1 at 16 kHz, hop 1536: what MMDisCo most likely ran (arXiv 2405.17842, "96 ms").
tempotokens_v1, tempotokens_v2: the literal scripts of October 2023 and February 2025, at 22050 Hz, hop 512.
sony_pr: SVG_baseline's precision and recall, at 22050 Hz, hop 512.
eq37: MMDisCo's Eq. 37 in the reading `eq37_iou`, at 16 kHz, hop 1536.
matched: intersection over union of the largest one-to-one matching, at 16 kHz, hop 1536, without onsets that only say
    that the clip begins with sound (`onsets.first_clear_time`).

A clip with neither onsets nor peaks is unscored (0 by sony_pr's definition), and so is one of fewer than two frames;
only onsets or only peaks give 0. Shuffled pairs of generated clips score as high as true ones, so a value means
nothing without its baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic.event_matching import eq37_iou, matched, sony_pr, tempotokens_v1, tempotokens_v2
from mmbench.metrics.extractors.onsets import OnsetTimes, first_clear_time
from mmbench.metrics.extractors.optical_flow import FarnebackFlow, flow_peaks
from mmbench.registry import register
from mmbench.statistics.shuffled import shuffled_pairs, shuffled_score
from mmbench.types import Extractor, FeatureTable, Score

NUM_SHUFFLES = 8
ONE_FRAME, NO_EVENT = "A single frame shows no motion.", "It has no onset, and no peak of motion."


@dataclass(frozen=True)
class Preset:
    """A formula and its settings: analysis rate [Hz], hop, least flow of a peak [px], padded start left out or not."""

    formula: Callable[[np.ndarray, np.ndarray, float], float]
    sample_rate: int = 22050
    hop_length: int = 512
    flow_threshold: float = 0.0
    clear_start: bool = False


PRESETS = {
    "mmdisco_96ms": Preset(tempotokens_v1, 16000, 1536),
    "tempotokens_v1": Preset(tempotokens_v1),
    "tempotokens_v2": Preset(tempotokens_v2, flow_threshold=0.1),
    "sony_pr": Preset(sony_pr),
    "eq37": Preset(eq37_iou, 16000, 1536),
    "matched": Preset(matched, 16000, 1536, clear_start=True),
}


@register("metric", "av_align", "Onsets matched with peaks of optical flow (AV-Align), beside its shuffled baseline")
class AVAlign:
    """AV-Align of a run, one value per sample.

    Args:
        variant: One of `AVAlign.variants`.

    Raises:
        UsageError: Unknown variant.
    """

    name: str = "av_align"
    version: int = 1
    higher_is_better: bool = True
    needs_reference: bool = False
    variants = tuple(PRESETS)

    def __init__(self, variant: str = "mmdisco_96ms") -> None:
        if variant not in PRESETS:
            raise UsageError(f"Unknown variant {variant!r} of av_align.", f"one of {', '.join(PRESETS)}")
        self.variant, self.preset = variant, PRESETS[variant]
        self.video, self.audio = FarnebackFlow(), OnsetTimes(self.preset.sample_rate, self.preset.hop_length)

    def extractors(self) -> Sequence[Extractor]:
        """Optical flow of the video and onsets of the audio."""
        return self.video, self.audio

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Mean over samples; the baseline pairs videos with the audio of other scored samples, by the videos' fps.

        Details: `above_1` counts samples above 1; `mean_onsets` and `mean_peaks` are over scored samples.
        """
        flows, sounds = features[self.video.name], features[self.audio.name]
        start = first_clear_time(self.audio.sample_rate, self.audio.hop_length) if self.preset.clear_start else 0.0
        peaks, onsets, fps = {}, {}, {}
        for i, (video, audio) in enumerate(zip(flows, sounds, strict=True)):
            if video is None or audio is None:
                continue
            fps[i] = float(video["fps"])
            peaks[i] = flow_peaks(video["flow"], fps[i], self.preset.flow_threshold)
            onsets[i] = audio["onsets"][audio["onsets"] >= start]

        def pair(i: int, j: int) -> float:
            return self.preset.formula(onsets[j], peaks[i], fps[i])

        values = np.full(len(flows), np.nan)
        for i in fps:
            values[i] = pair(i, i) if len(flows[i]["flow"]) else np.nan  # type: ignore[index]
        scored = np.flatnonzero(~np.isnan(values)).tolist()
        return shuffled_score(
            values,
            shuffled_pairs(lambda i, j: pair(scored[i], scored[j]), scored, NUM_SHUFFLES, seed),
            num_unscored=len(fps) - len(scored),
            reasons={i: NO_EVENT if len(flows[i]["flow"]) else ONE_FRAME for i in fps if np.isnan(values[i])},  # type: ignore[index]
            details={
                "above_1": int(np.sum(values > 1)),
                "mean_onsets": float(np.mean([len(onsets[i]) for i in scored])) if scored else None,
                "mean_peaks": float(np.mean([len(peaks[i]) for i in scored])) if scored else None,
            },
        )
