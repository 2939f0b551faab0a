"""Sound metrics and clips for the tests of `mmbench verify`; each fault is planted into a copy of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from mmbench.checks.verification import metric_checks
from mmbench.checks.verification.ladders import Material
from mmbench.checks.verification.metric_checks import Subject
from mmbench.types import Clip, Features, FeatureTable, Item, Prompt, Score

RATE = 8000  # [Hz]


def item(i: int) -> Item:
    """A white square that appears in one frame of ten, and a click at that time."""
    rng = np.random.default_rng(i)
    video, audio = np.full((10, 16, 16, 3), 40, np.uint8), np.zeros(RATE, np.float32)
    frame, corner = 2 + i % 5, rng.integers(0, 8, 2)
    video[frame, corner[0] : corner[0] + 8, corner[1] : corner[1] + 8] = 200 + i
    audio[frame * RATE // 10 : frame * RATE // 10 + 400] = rng.uniform(-0.5, 0.5, 400)
    return Item(f"{i}", Prompt(f"{i}", "x" * (frame + 1)), Clip(video, 10.0, audio, RATE))


@pytest.fixture
def material() -> Material:
    return Material([item(i) for i in range(12)], seed=0)


class Peak:
    """When it is brightest or loudest [s], or the length of a text."""

    batch_size, weights = 4, "none"

    def __init__(self, modality: str) -> None:
        self.name, self.modality = f"peak_{modality}", modality

    def spec(self) -> dict[str, Any]:
        return {"modality": self.modality, "version": 1}

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        if self.modality == "text":
            return [{"time": np.array((len(text) - 1) / 10)} for text in batch]
        if self.modality == "audio":
            return [{"time": np.array(np.abs(c.audio).reshape(10, -1).sum(1).argmax() / 10)} for c in batch]
        return [{"time": np.array(c.video.astype(float).mean((1, 2, 3)).argmax() / 10)} for c in batch]


class Statistics:
    """Mean and roughness of one half of a clip."""

    batch_size, weights = 4, "none"

    def __init__(self, modality: str = "video") -> None:
        self.name, self.modality = f"statistics_{modality}", modality

    def spec(self) -> dict[str, Any]:
        return {"modality": self.modality}

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        halves = [np.asarray(getattr(c, self.modality), np.float64) for c in batch]
        return [
            {"x": np.array([h.mean(), *(np.abs(np.diff(h, axis=a)).mean() for a in range(h.ndim))])} for h in halves
        ]


class Agreement:
    """Share of samples whose two peaks coincide."""

    name, variant, version, higher_is_better, needs_reference = "agreement", "v", 1, True, False

    def __init__(self, first: str = "video", second: str = "audio", weights: str = "none") -> None:
        self.parts = Peak(first), Peak(second)
        for part in self.parts:
            part.weights = weights

    def extractors(self) -> Sequence[Any]:
        return self.parts

    def values(self, features: FeatureTable) -> np.ndarray:
        pairs = zip(*(features[part.name] for part in self.parts), strict=True)
        return np.array(
            [np.nan if a is None or b is None else float(abs(a["time"] - b["time"]) < 0.05) for a, b in pairs]
        )

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        values = self.values(features)
        return Score(float(np.nanmean(values)), None, int(np.sum(~np.isnan(values))), per_sample=values)


class Distance:
    """Squared distance of mean features, from real ones."""

    name, variant, version, higher_is_better, needs_reference = "distance", "v", 1, False, True
    offset = 0.0

    def __init__(self, modality: str = "video") -> None:
        self.part: Any = Statistics(modality)

    def extractors(self) -> Sequence[Any]:
        return (self.part,)

    def mean(self, table: FeatureTable) -> np.ndarray:
        return np.mean([f["x"] for f in table[self.part.name] if f is not None], axis=0)

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        assert reference is not None
        gap = self.mean(features) - self.mean(reference)
        n = sum(f is not None for f in features[self.part.name])
        return Score(float(gap @ gap) + self.offset, None, n)


def examined(build: Callable[[], Any], material: Material) -> dict[str, dict[str, Any]]:
    """Rows of a metric by check."""
    subject = Subject("fake", lambda device: build())
    return {row["check"]: row for row in metric_checks.check_metric(subject, material, 0)}


def failed(rows: dict[str, dict[str, Any]]) -> set[str]:
    return {check for check, row in rows.items() if row["status"] == "fail"}
