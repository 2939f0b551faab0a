"""KL of sound classes: does a sound have the classes of its own real clip, by PaSST or by Cnn14 of PANNs?

hkchengrex/av-benchmark@050a5cd:av_bench/metrics/kl.py, as MMAudio and most papers on video to audio have it: softmax
over 527 AudioSet logits, Σ p_real log(p_real / p_generated), the mean over pairs. audioldm_eval's has 1e-6 inside one
logarithm, and a sigmoid form; stable-audio-metrics averages the logits of windows first.

avbench_8s listens to the first 8 s, avbench_10s to 10. av-benchmark drops clips that are shorter; here they are judged
by what they have. Clips without a real clip of their own are unscored. Silence is a class, and counted in the details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.arithmetic.classifier import paired_kl
from mmbench.metrics.extractors.sound_classifiers import (
    CNN14_SECONDS,
    PANNExtractor,
    PaSSTExtractor,
    SoundClassifier,
)
from mmbench.registry import register
from mmbench.statistics.estimates import mean_score
from mmbench.statistics.shuffled import derangements, shuffled_pairs, shuffled_score
from mmbench.types import Extractor, FeatureTable, Score

SECONDS = {"avbench_8s": 8, "avbench_10s": 10}
NUM_SHUFFLES = 8


class ClassifierKL:
    """Mean KL divergence of the classes of generated sounds from those of their real clips.

    Args:
        variant: One of `SECONDS`.
        weights: Of the classifier, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name: str
    version: int = 1
    higher_is_better: bool = False
    needs_reference: bool = True
    in_pairs: bool = True
    variants = tuple(SECONDS)
    network: ClassVar[type[SoundClassifier]]

    def __init__(
        self, variant: str = "avbench_8s", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in SECONDS:
            raise UsageError(f"Unknown variant {variant!r} of {self.name}.", f"one of {', '.join(SECONDS)}")
        self.variant = variant
        self.extractor = self.network(SECONDS[variant], weights, device=device)

    def extractors(self) -> Sequence[Extractor]:
        """The classifier."""
        return (self.extractor,)

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Mean over the samples that have a real clip; the baseline pairs sounds with real clips of other samples.

        Details: `silent`, how many of the scored sounds are digital silence.

        Raises:
            MMBenchError: There is no reference, or not one row for each sample.
        """
        ours, theirs = features[self.extractor.name], (reference or {}).get(self.extractor.name)
        if theirs is None or len(theirs) != len(ours):
            found = f"{self.name} was given {len(theirs or ())} real clips for {len(ours)} samples."
            raise MMBenchError(found, "the real clip of each", "name a dataset")
        pairs = [
            (i, a, b) for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a is not None and b is not None
        ]
        values = np.full(len(ours), np.nan)
        n = len(pairs)
        details = {"silent": sum(bool(a["silent"]) for _, a, _ in pairs)}
        if not n:
            return mean_score(values, details=details)
        generated, real = (np.stack([pair[k]["logits"] for pair in pairs]) for k in (1, 2))  # type: ignore[index]
        samples = [i for i, _, _ in pairs]
        values[samples] = paired_kl(generated, real)
        others = {
            (i, int(j)): kl
            for partner in derangements(n, NUM_SHUFFLES, seed)
            for i, (j, kl) in enumerate(zip(partner, paired_kl(generated, real[partner]), strict=True))
        }
        shuffled = shuffled_pairs(lambda i, j: float(others[i, j]), samples, NUM_SHUFFLES, seed)
        return shuffled_score(values, shuffled, details=details)


@register("metric", "kl_passt", "Divergence of a sound's classes from its real clip's (KL, PaSST)")
class KLPaSST(ClassifierKL):
    """By PaSST, which hears 10 s; what is shorter is completed with silence."""

    name = "kl_passt"
    network = PaSSTExtractor


@register("metric", "kl_pann", "Divergence of a sound's classes from its real clip's (KL, PANNs)")
class KLPANN(ClassifierKL):
    """By Cnn14 of PANNs."""

    name = "kl_pann"
    network = PANNExtractor
    min_seconds = CNN14_SECONDS
