"""Inception score of sounds: are single sounds of a clear class, and all together of many, by PaSST or by PANNs?

hkchengrex/av-benchmark@050a5cd:av_bench/metrics/isc.py: exp of the mean KL(p(class | clip) ‖ p(class)), p the softmax
of 527 AudioSet logits. It compares with nothing, so that it says neither that sounds are good nor that they fit.

avbench_8s: the mean over ten splits, which follow from the clips' places (RandomState(2020)); the first 8 s of each.
avbench_10s: the same of 10 s.
one_split: all clips at once, which no order changes; the first 8 s.

A part of k clips cannot score above k, so the number rises with n: compare equal n alone. What papers print after ± is
the scatter of the ten splits, here `split_std` in the details; the standard error here is the bootstrap's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic.classifier import InceptionScore, inception_replicates
from mmbench.metrics.extractors.sound_classifiers import (
    CNN14_SECONDS,
    PANNExtractor,
    PaSSTExtractor,
    SoundClassifier,
)
from mmbench.registry import register
from mmbench.statistics.estimates import bootstrap_score, resample_indices
from mmbench.types import Extractor, FeatureTable, Score

NUM_REPLICATES = 1000


@dataclass(frozen=True)
class Preset:
    """How much of a sound is listened to [s], and into how many parts the set is split."""

    seconds: int
    splits: int


PRESETS = {"avbench_8s": Preset(8, 10), "avbench_10s": Preset(10, 10), "one_split": Preset(8, 1)}


class ClassifierIS:
    """Inception score of a set of sounds.

    Args:
        variant: One of `PRESETS`.
        weights: Of the classifier, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name: str
    version: int = 1
    higher_is_better: bool = True
    needs_reference: bool = False
    variants = tuple(PRESETS)
    network: ClassVar[type[SoundClassifier]]

    def __init__(
        self, variant: str = "avbench_8s", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in PRESETS:
            raise UsageError(f"Unknown variant {variant!r} of {self.name}.", f"one of {', '.join(PRESETS)}")
        self.variant, self.preset = variant, PRESETS[variant]
        self.by_place = self.preset.splits > 1
        self.extractor = self.network(self.preset.seconds, weights, device=device)

    def extractors(self) -> Sequence[Extractor]:
        """The classifier."""
        return (self.extractor,)

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Score of all samples together; NaN with nothing scored if there are fewer than two, or than splits.

        Details: `split_std`, the standard deviation over the splits, None of one; `at_most`, what a split of that many
        clips could reach; `silent`, how many of the sounds are digital silence; `infinity_low` and `infinity_high`, the
        95 % interval of the value at infinite n.
        """
        rows = [row for row in features[self.extractor.name] if row is not None]
        n, splits = len(rows), self.preset.splits
        if n < max(2, splits):
            return Score(float("nan"), None, 0)
        logits = np.stack([row["logits"] for row in rows])
        found = InceptionScore.of(logits, splits)
        details = {
            "split_std": found.split_std if splits > 1 else None,
            "at_most": min(logits.shape[1], -(-n // splits)),
            "silent": sum(bool(row["silent"]) for row in rows),
        }
        replicates = inception_replicates(logits, resample_indices(n, NUM_REPLICATES, seed), splits)
        return bootstrap_score(found.value, replicates, n, details=details)


@register("metric", "is_passt", "Clear and varied classes of sounds (inception score, PaSST)")
class ISPaSST(ClassifierIS):
    """By PaSST, which hears 10 s; what is shorter is completed with silence."""

    name = "is_passt"
    network = PaSSTExtractor


@register("metric", "is_pann", "Clear and varied classes of sounds (inception score, PANNs)")
class ISPANN(ClassifierIS):
    """By Cnn14 of PANNs."""

    name = "is_pann"
    network = PANNExtractor
    min_seconds = CNN14_SECONDS
