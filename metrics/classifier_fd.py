"""Fréchet distances between a sound classifier's features of generated and of real sounds, by PaSST or by PANNs.

hkchengrex/av-benchmark@050a5cd:av_bench/evaluate.py and metrics/fad.py; covariances with ddof 1. It compares PANNs'
features of all real clips and PaSST's of those that have a generated partner, so the presets differ:

avbench_8s, avbench_10s: as it does, on the first 8 or 10 s; fd_pann over the dataset's reference, fd_passt in pairs.
all, paired: the other one of the two, on the first 8 s.

PANNs' 2048 dimensions need more than 2048 clips on either side, or covariances are singular: such a distance compares
systems at equal n and is no estimate of one at infinite n. The record has `rank` beside `dimensions`. KAD
(YoonjinXD/kadtk@8bda71d), which has no such bias, stands beside the value, on the same features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic.frechet_metric import FrechetMetric
from mmbench.metrics.extractors.sound_classifiers import (
    CNN14_SECONDS,
    PANNExtractor,
    PaSSTExtractor,
    SoundClassifier,
)
from mmbench.registry import register
from mmbench.types import FeatureTable, Score


@dataclass(frozen=True)
class Preset:
    """How much of a sound is listened to [s], and whether only real clips with a generated partner are compared."""

    seconds: int
    in_pairs: bool


class ClassifierFD(FrechetMetric):
    """Fréchet distance of a classifier's features, with the kernel audio distance (KAD) in its details.

    Args:
        variant: One of the presets; the first by default.
        weights: Of the classifier, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    feature, ddof, kernel_distance = "embedding", 1, "kad"
    network: ClassVar[type[SoundClassifier]]
    presets: ClassVar[dict[str, Preset]]

    def __init__(
        self, variant: str = "avbench_8s", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in self.presets:
            raise UsageError(f"Unknown variant {variant!r} of {self.name}.", f"one of {', '.join(self.presets)}")
        self.variant, preset = variant, self.presets[variant]
        self.in_pairs = preset.in_pairs
        self.extractor = self.network(preset.seconds, weights, device=device)

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Distance of the generated from the real clips.

        Details: as of every Fréchet distance, and `dimensions` of the features beside `rank`, the most that the
        smaller of the two covariances can have.

        Raises:
            MMBenchError: There is no reference.
        """
        if self.in_pairs and reference is not None:
            name = self.extractor.name
            pairs = [p if p[0] and p[1] else (None, None) for p in zip(features[name], reference[name], strict=True)]
            features, reference = ({name: [p[k] for p in pairs]} for k in (0, 1))
        score = super().score(features, reference, seed)
        if not score.num_scored:
            return score
        (dimensions,) = {len(row["embedding"]) for row in features[self.extractor.name] if row is not None}
        rank = min(dimensions, score.num_scored - 1, int(score.details["num_reference"]) - 1)
        return replace(score, details={**score.details, "dimensions": dimensions, "rank": rank})


@register("metric", "fd_passt", "Fréchet distance of sounds (PaSST, 768 dimensions)")
class FDPaSST(ClassifierFD):
    """By PaSST, which hears 10 s; what is shorter is completed with silence."""

    name = "fd_passt"
    network = PaSSTExtractor
    presets: ClassVar = {"avbench_8s": Preset(8, True), "avbench_10s": Preset(10, True), "all": Preset(8, False)}
    variants = tuple(presets)


@register("metric", "fd_pann", "Fréchet distance of sounds (PANNs, 2048 dimensions)")
class FDPANN(ClassifierFD):
    """By Cnn14 of PANNs."""

    name = "fd_pann"
    network = PANNExtractor
    min_seconds = CNN14_SECONDS
    presets: ClassVar = {"avbench_8s": Preset(8, False), "avbench_10s": Preset(10, False), "paired": Preset(8, True)}
    variants = tuple(presets)
