"""What a run is: a canonical spec, its digest, and the circumstances of the processes that worked on it.

The spec names everything that decides the samples: system, dataset, seed and the code that makes them. The number of
samples is not in it: sample i depends on (seed, prompt i, i) alone, so a run of 64 extends to 2048.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmbench import __version__
from mmbench.errors import IntegrityError
from mmbench.identity import canonical_json, digest_of, source_digest
from mmbench.types import Dataset, OnVideos, Request, Spec, System, Weights, video_spec_of

FORMAT_VERSION = 1  # raised when the sample store or the seed rule changes


@dataclass(frozen=True)
class RunSpec:
    """The identity of a run.

    Attributes:
        system: Name as typed, `base+mmdisco...` included.
        dataset: Name as typed.
        seed: The run's seed.
        weights: How real the system's weights are; never compared across kinds in quality tables.
        spec: The canonical spec that the digest is over.
        video: Digest of what decides the videos: runs that agree on it show the same ones.
        video_of: The system whose videos these are, where that is another one (a cascade's are its video model's).
    """

    system: str
    dataset: str
    seed: int
    weights: Weights
    spec: Spec
    video: str = ""
    video_of: str = ""

    @property
    def digest(self) -> str:
        return digest_of(self.spec)

    @property
    def run_id(self) -> str:
        clean = "".join(c if c.isalnum() or c in "+_-." else "_" for c in f"{self.system}-{self.dataset}")
        return f"{clean}-s{self.seed}-{self.digest[:8]}"

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "digest": self.digest,
            "system": self.system,
            "dataset": self.dataset,
            "seed": self.seed,
            "weights": self.weights,
            "video": self.video,
            "video_of": self.video_of,
            "spec": dict(self.spec),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], origin: Path) -> RunSpec:
        """Read a manifest; one that contradicts its own digest raises IntegrityError."""
        try:
            run = cls(data["system"], data["dataset"], data["seed"], data["weights"], data["spec"])
            run = replace(run, video=data.get("video", ""), video_of=data.get("video_of", ""))
            stated = data["digest"]
        except (KeyError, TypeError) as error:
            raise IntegrityError(
                f"{origin} is not a run's manifest: {error!r} is missing.", "", "mmbench list runs"
            ) from error
        if run.digest != stated:
            raise IntegrityError(
                f"{origin} was changed: its spec has digest {run.digest}, but it says {stated}.",
                "a manifest as mmbench wrote it",
                "restore the file, or start the run again in another --out folder",
            )
        return run


def make_runspec(system: System, dataset: Dataset, seed: int, system_name: str, dataset_name: str) -> RunSpec:
    """The run of `system` on `dataset` with `seed`."""
    spec: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "mmbench": __version__,
        "system": {"name": system_name, "weights": system.weights, "code": source_digest(system), **system.spec()},
        "dataset": {"name": dataset.name, "code": source_digest(dataset), **dataset.spec()},
        "seed": seed,
    }
    source = video_source(system)
    about = {"name": source.name, "weights": source.weights, "code": source_digest(source), **video_spec_of(source)}
    video, video_of = digest_of({**spec, "system": about}), ""
    if source is not system:
        video_of, spec["video"] = source.name, video
    spec = json.loads(canonical_json(spec))  # tuples become lists here, so that a reread manifest has the same digest
    return RunSpec(system_name, dataset_name, seed, system.weights, spec, video, video_of)


def video_source(system: System) -> System:
    """The system that makes the videos which a system shows: itself, or what an `OnVideos` names."""
    return video_source(system.video_source) if isinstance(system, OnVideos) else system


def make_requests(dataset: Dataset, num: int, seed: int) -> list[Request]:
    """The first `num` requests of a run."""
    return [Request(prompt, index, seed) for index, prompt in enumerate(dataset.prompts(num, seed))]
