"""DeSync: by how many seconds do sound and picture disagree, as Synchformer (arXiv 2401.16423) guesses?

Presets, which papers print under one name (`docs/desync.md` has all eight):

avbench_8s: hkchengrex/av-benchmark@050a5cd: the first and the last 14 segments of the first 8 s, the likeliest offset
    of each, its absolute value, the mean. Clips of 4.8 to 8 s are judged by what they have.
javisbench_4s_loop: JavisVerse/JavisDiT@b505b37: 4 s give 11 segments, of which the first three follow again.
center_5s_expectation: microsoft/AVGen-Bench@1049eab: 14 segments from frame 2 on, short side 256 before the crop, and
    the absolute value of the expectation, without its lossy re-encoding and half precision.
signed: Dorniwang/Verse-Bench@5645a09: the same segments, the likeliest offset with its sign, so that errors cancel.

A uniform guess has 1.048 s. Silence is judged as any sound, and counted in the details.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic import offsets
from mmbench.metrics.extractors.synchformer import Pair, SynchformerAudio, SynchformerHead, SynchformerVideo
from mmbench.metrics.networks.synchformer_segments import Stretch
from mmbench.registry import register
from mmbench.statistics.shuffled import derangements, shuffled_pairs, shuffled_score
from mmbench.types import Extractor, FeatureTable, Score

NUM_SHUFFLES = 8
CENTRE = Stretch(5, first_frame=2, short_side=256)


def absolute_argmax(logits: np.ndarray) -> np.ndarray:
    """The absolute values (...) of the likeliest offsets [s] of logits (..., 21)."""
    return np.abs(offsets.argmax_offsets(logits))


def absolute_expectation(logits: np.ndarray) -> np.ndarray:
    """The absolute values (...) of the expected offsets [s] of logits (..., 21)."""
    return np.abs(offsets.expected_offsets(logits))


@dataclass(frozen=True)
class Preset:
    """What of a clip is looked at, which of its segments are judged together, and the number made of the answer."""

    stretch: Stretch
    windows: Callable[[int], list[list[int]]]
    formula: Callable[[np.ndarray], np.ndarray]


PRESETS = {
    "avbench_8s": Preset(Stretch(8), offsets.first_and_last, absolute_argmax),
    "javisbench_4s_loop": Preset(Stretch(4, fewest=11), offsets.looped, absolute_argmax),
    "center_5s_expectation": Preset(CENTRE, offsets.first_and_last, absolute_expectation),
    "signed": Preset(CENTRE, offsets.first_and_last, offsets.argmax_offsets),
}


@register("metric", "desync", "Seconds by which sound and picture disagree (DeSync), beside its shuffled baseline")
class DeSync:
    """Mean offset of sound and picture over samples [s].

    Args:
        variant: One of `PRESETS`.
        weights: Of Synchformer, "real" or "random".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    name, version = "desync", 1
    higher_is_better = False
    needs_reference = False
    variants = tuple(PRESETS)

    def __init__(
        self, variant: str = "avbench_8s", weights: Literal["real", "random"] = "real", device: str = "auto"
    ) -> None:
        if variant not in PRESETS:
            raise UsageError(f"Unknown variant {variant!r} of desync.", f"one of {', '.join(PRESETS)}")
        self.variant, self.preset = variant, PRESETS[variant]
        self.min_seconds = self.preset.stretch.needed
        self.video = SynchformerVideo(self.preset.stretch, weights, device=device)
        self.audio = SynchformerAudio(self.preset.stretch, weights, device=device)
        self.head = SynchformerHead(weights, device=device)

    def extractors(self) -> Sequence[Extractor]:
        """The two towers; the head compares what they found when a run is scored."""
        return self.video, self.audio

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Mean over samples; the baseline pairs videos with the sounds of other samples.

        Details: `distribution`, the mean probability of each of 21 offsets; `bias`, the mean likeliest offset with its
        sign [s]; `within_0.2s`, the share of windows whose likeliest offset is at most 0.2 s; `chance`, the value of a
        uniform guess [s]; `silent`, how many scored clips are.
        """
        halves = list(zip(features[self.video.name], features[self.audio.name], strict=True))
        found = [i for i, (video, audio) in enumerate(halves) if video is not None and audio is not None]
        videos = [halves[i][0]["segments"] for i in found]  # type: ignore[index]
        sounds = [halves[i][1]["segments"] for i in found]  # type: ignore[index]
        n = len(found)
        own = [(i, i) for i in range(n)]
        others = {(i, int(j)) for p in derangements(n, NUM_SHUFFLES, seed) for i, j in enumerate(p)}
        judged = self._judge(videos, sounds, [*own, *sorted(others)])
        pairs = {pair: float(self.preset.formula(logits).mean()) for pair, logits in judged.items()}
        values = np.full(len(halves), np.nan)
        values[found] = [pairs[pair] for pair in own]
        silent = sum(bool(halves[i][1]["silent"]) for i in found)  # type: ignore[index]
        return shuffled_score(
            values,
            shuffled_pairs(lambda i, j: pairs[i, j], found, NUM_SHUFFLES, seed),
            details={**_describe([judged[pair] for pair in own]), "silent": silent},
        )

    def _judge(
        self, videos: Sequence[np.ndarray], sounds: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], np.ndarray]:
        """Logits (windows, 21) of videos with sounds, by their indices."""
        windows = [self.preset.windows(min(len(videos[i]), len(sounds[j]))) for i, j in pairs]

        def segments() -> Iterator[Pair]:
            for (i, j), those in zip(pairs, windows, strict=True):
                yield from ((videos[i][window], sounds[j][window]) for window in those)

        ends = np.cumsum([len(those) for those in windows])
        return dict(zip(pairs, np.split(self.head.logits(segments()), ends)[: len(pairs)], strict=True))


def _describe(judged: Sequence[np.ndarray]) -> dict[str, Any]:
    """What offsets tell beside their mean, from the logits (windows, 21) of each clip; all clips count alike."""
    if not judged:
        return {"distribution": None, "bias": None, "within_0.2s": None, "chance": offsets.CHANCE}
    return {
        "distribution": np.mean([offsets.probabilities(logits).mean(axis=0) for logits in judged], axis=0).tolist(),
        "bias": float(np.mean([offsets.argmax_offsets(logits).mean() for logits in judged])),
        "within_0.2s": float(np.mean([offsets.share_within(offsets.argmax_offsets(x), 0.2) for x in judged])),
        "chance": offsets.CHANCE,
    }
