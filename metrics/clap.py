"""CLAP score: does the sound agree with the prompt? The cosine of CLAP's embeddings (arXiv 2211.06687).

Presets:

avbench_8s: hkchengrex/av-benchmark@050a5cd: LAION's HTSAT-base (music, speech, AudioSet), on the first 8 s without
    their mean. It repeats what is shorter than 10 s.
javisbench: JavisVerse/JavisDiT@b505b37: clap-htsat-unfused on the whole sound, resampled as librosa does, its mean
    kept; a prompt is read to its 512th token, RoBERTa's limit, beyond which that code fails. Of a sound longer than
    10 s it takes a stretch at random; here it is the middle 10 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from mmbench.errors import UsageError
from mmbench.metrics.extractors.clap import ClapAudio, ClapProtocol, ClapText
from mmbench.metrics.imagebind import cosine
from mmbench.registry import register
from mmbench.statistics.shuffled import shuffled_pairs, shuffled_score
from mmbench.types import Extractor, FeatureTable, Score

NUM_SHUFFLES = 8
PRESETS = {
    "avbench_8s": ClapProtocol("clap_htsat_base", 8, centred=True, resampler="torchaudio", tokens=77),
    "javisbench": ClapProtocol("clap_htsat_unfused", None, centred=False, resampler="librosa", tokens=512),
}


@register("metric", "clap", "Agreement of prompt and sound (CLAP cosine), beside other samples' prompts")
class Clap:
    """Mean cosine of sound and prompt over samples.

    Args:
        variant: One of `PRESETS`.
        weights: Of CLAP, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name, version = "clap", 1
    higher_is_better = True
    needs_reference = False
    variants = tuple(PRESETS)

    def __init__(
        self, variant: str = "avbench_8s", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in PRESETS:
            raise UsageError(f"Unknown variant {variant!r} of clap.", f"one of {', '.join(PRESETS)}")
        self.variant = variant
        self.text = ClapText(PRESETS[variant], weights, device=device)
        self.audio = ClapAudio(PRESETS[variant], weights, device=device)

    def extractors(self) -> Sequence[Extractor]:
        """The two towers."""
        return self.text, self.audio

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Mean over the samples that have a prompt and a sound; the baseline pairs sounds with others' prompts.

        Prompts repeat, so pairs that happen to share one are left out of the baseline; there is none if all do.

        Details: `silent`, how many scored clips are.
        """
        pairs = list(zip(features[self.text.name], features[self.audio.name], strict=True))
        found = [
            (i, text["embedding"], audio)
            for i, (text, audio) in enumerate(pairs)
            if text is not None and audio is not None
        ]
        values = np.full(len(pairs), np.nan)
        for i, text, audio in found:
            values[i] = cosine(text, audio["embedding"])

        def with_prompt_of(i: int, j: int) -> float:
            own, other = found[i][1], found[j][1]
            return float("nan") if np.array_equal(own, other) else float(cosine(other, found[i][2]["embedding"]))

        pairs_of_others = shuffled_pairs(with_prompt_of, [i for i, _, _ in found], NUM_SHUFFLES, seed)
        silent = sum(bool(audio["silent"]) for _, _, audio in found)
        return shuffled_score(values, pairs_of_others, details={"silent": silent})
