"""Small things that tests are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import MediaError
from mmbench.files import SEALED
from mmbench.scores.records import Record
from mmbench.types import Clip, Features


def clip(seed: int = 0, frames: int = 3, size: int = 8, samples: int = 400) -> Clip:
    """A clip of noise."""
    rng = np.random.default_rng(seed)
    video = rng.random((frames, size, size, 3))
    return Clip.from_float(video, 8.0, rng.uniform(-1, 1, samples), 16000)


@dataclass(frozen=True)
class MadeSource:
    """A source that makes its clip; `broken` ones cannot be read."""

    seed: int
    digest: str = ""
    broken: bool = False

    @property
    def id(self) -> str:
        return f"made-{self.seed}"

    def load(self) -> Clip:
        if self.broken:
            raise MediaError(f"{self.id} is truncated.")
        return clip(self.seed)


class Mean:
    """Mean of one half of a clip, or the length of a text; counts its calls. `fails_on` names one clip it refuses."""

    weights = "none"

    def __init__(self, modality: str = "video", batch_size: int = 1, version: int = 1, fails_on: int = -1) -> None:
        self.name, self.modality, self.batch_size = f"mean_{modality}_{batch_size}", modality, batch_size
        self.version, self.calls, self.batches = version, 0, 0
        self.refused = clip(fails_on).digest() if fails_on >= 0 else ""

    def spec(self) -> Mapping[str, Any]:
        return {"version": self.version}

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        self.batches += 1
        self.calls += len(batch)
        if self.modality == "text":
            return [{"mean": np.array(float(len(text)))} for text in batch]
        if any(c.digest() == self.refused for c in batch):
            raise ValueError("a clip it cannot take")
        return [
            {"mean": np.array(getattr(c, self.modality).mean(dtype=np.float64)), "none": np.zeros(0)} for c in batch
        ]


RECORD = Record(
    run_id="a-d-s0-00000000",
    digest="0" * 32,
    system="a",
    dataset="d",
    seed=0,
    weights="real",
    metric="m.v",
    signature="m|v|extractors:e-1|size:s|version:1",
    value=0.5,
    stderr=0.1,
    low=0.3,
    high=0.7,
    higher_is_better=True,
    n_expected=8,
    n_present=8,
    n_failed=0,
    n_nonfinite=0,
    n_unscored=0,
    n_scored=8,
    baseline=None,
    baseline_stderr=None,
    lossy=False,
    extractor_weights="none",
    reference=None,
    time="2026-01-01T00:00:00Z",
    details={},
)


def record(**changes: Any) -> Record:
    """A record that differs from a plain one in `changes`."""
    return replace(RECORD, **changes)


def folder_of(out: Path, name: str) -> Path:
    """An empty folder for a run called `name`."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def strip_checksums(file: Path) -> Path:
    """Make of a JSON file, or of JSON lines, what older versions wrote: without checksums."""
    lines = file.read_bytes().split(b"\n") if file.suffix == ".jsonl" else [file.read_bytes()]
    file.write_bytes(b"\n".join(SEALED.sub(b"}", line) for line in lines))
    return file
