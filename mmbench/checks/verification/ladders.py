"""Distortions in steps from mild to strong, and the features of real clips at each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmbench.checks.verification import distortions
from mmbench.identity import digest_of
from mmbench.types import Clip, Extractor, Features, Item, Metric, Modality

Change = Callable[[Sequence[Item], float, int], list[Item]]  # items, strength, seed


@dataclass(frozen=True)
class Ladder:
    """A distortion in steps from mild to strong.

    Attributes:
        name: What is done.
        unit: Of the steps.
        steps: Strengths, the mildest first.
        touches: The modality that changes; features of the others stay as they are.
        change: Does it.
    """

    name: str
    unit: str
    steps: tuple[float, ...]
    touches: Modality
    change: Change


def _each(distort: Callable[[Clip, float, np.random.Generator], Clip]) -> Change:
    """Distort every clip on its own, with the same draws at every strength."""

    def change(items: Sequence[Item], strength: float, seed: int) -> list[Item]:
        rngs = [np.random.default_rng((seed, i)) for i in range(len(items))]
        return [replace(x, clip=distort(x.clip, strength, rng)) for x, rng in zip(items, rngs, strict=True)]

    return change


def exchange_prompts(items: Sequence[Item], fraction: float, seed: int) -> list[Item]:
    """Give round(fraction n) items, chosen at random, the prompt of the next one chosen."""
    chosen = np.random.default_rng((seed, len(items))).permutation(len(items))[: round(fraction * len(items))]
    owner = np.arange(len(items))
    owner[chosen] = np.roll(chosen, 1)
    return [replace(x, prompt=items[int(i)].prompt) for x, i in zip(items, owner, strict=True)]


VIDEO = (
    Ladder("blur", "px", (1, 2, 4), "video", _each(lambda clip, sigma, rng: distortions.blur(clip, sigma))),
    Ladder("pixel noise", "grey levels", (8, 24, 64), "video", _each(distortions.pixel_noise)),
    Ladder("frame drop", "of the frames", (0.25, 0.5, 1), "video", _each(distortions.freeze)),
)
AUDIO = (
    Ladder("white noise", "dB", (30, 15, 0), "audio", _each(distortions.white_noise)),
    Ladder("low-pass", "Hz", (4000, 2000, 1000), "audio", _each(lambda clip, f, rng: distortions.low_pass(clip, f))),
)
SHIFT = Ladder("shift", "s", (0.125, 0.25, 0.5), "audio", _each(lambda clip, s, rng: distortions.delay_audio(clip, s)))
PROMPTS = Ladder("others' prompts", "of the samples", (0.25, 0.5, 1), "text", exchange_prompts)


def ladders_for(metric: Metric) -> list[Ladder]:
    """The distortions that a metric must answer to, by what it looks at.

    A distance from real clips answers to whatever spoils the half it sees, a measure of agreement between halves to
    what pulls them apart. Of anything else nothing is known.
    """
    seen = {extractor.modality for extractor in metric.extractors()}
    if metric.needs_reference:
        return [ladder for ladder in (*VIDEO, *AUDIO) if ladder.touches in seen]
    if "text" in seen and len(seen) > 1:
        return [PROMPTS]
    return [SHIFT] if {"video", "audio"} <= seen else []


class Material:
    """Real items and their features, each computed once.

    Args:
        items: Real clips with prompts.
        seed: Of the distortions.
    """

    def __init__(self, items: Sequence[Item], seed: int) -> None:
        self.items, self.seed = items, seed
        self._changed: dict[tuple[str, float], list[Item]] = {}
        self._features: dict[tuple[str, str, float], list[Features]] = {}

    def table(self, metric: Metric, ladder: Ladder | None = None, step: float = 0) -> dict[str, list[Features | None]]:
        """Features per extractor of a metric: of the real clips, or one step up a ladder."""
        return {e.name: [*self.features(e, ladder, step)] for e in metric.extractors()}

    def features(self, extractor: Extractor, ladder: Ladder | None = None, step: float = 0) -> list[Features]:
        """Features under one extractor, one entry per item."""
        touched = ladder is not None and ladder.touches == extractor.modality
        key = (identity(extractor), ladder.name if ladder and touched else "", step if touched else 0)
        if key not in self._features:
            inputs = inputs_of(extractor, self._climb(ladder, step) if ladder and touched else self.items)
            size = max(extractor.batch_size, 1)
            batches = [inputs[k : k + size] for k in range(0, len(inputs), size)]
            self._features[key] = [f for batch in batches for f in extractor.extract(batch)]
        return self._features[key]

    def _climb(self, ladder: Ladder, step: float) -> list[Item]:
        key = (ladder.name, step)
        if key not in self._changed:
            self._changed[key] = ladder.change(self.items, step, self.seed)
        return self._changed[key]


def identity(extractor: Extractor) -> str:
    """Digest of an extractor's name and spec, as in the feature cache."""
    return digest_of({"name": extractor.name, **extractor.spec()})


def inputs_of(extractor: Extractor, items: Sequence[Item]) -> list[Clip] | list[str]:
    """What an extractor looks at: clips, or prompts."""
    return [x.prompt.text for x in items] if extractor.modality == "text" else [x.clip for x in items]
