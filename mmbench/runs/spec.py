"""What a run is: a canonical spec, its digest, and the circumstances of the processes that worked on it.

The spec names everything that decides the samples: system, dataset, seed and the code that makes them. The number of
samples is not in it: sample i depends on (seed, prompt i, i) alone, so a run of 64 extends to 2048.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mmbench import __version__
from mmbench.code_identity import DATASET_ROOMS, SYSTEM_ROOMS, code_digest
from mmbench.errors import IntegrityError, UsageError
from mmbench.identity import canonical_json, digest_of
from mmbench.optional_protocols import OnVideos, UsesAudioOf, video_spec_of
from mmbench.registry import Kind, discover
from mmbench.types import Dataset, Request, Spec, System, Weights

LONGEST_NAME = 200  # [bytes]; file systems take 255, and seed and digest come after it
FORMAT_VERSION = 1  # raised when the sample store or the seed rule changes


def folder_name(name: str) -> str:
    """A name with what is no letter, digit or plain sign replaced, so that a folder can be called by it anywhere."""
    return "".join(c if c.isalnum() or c in "+_-." else "_" for c in name)


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

    @cached_property
    def digest(self) -> str:
        """Digest of the canonical spec."""
        return digest_of(self.spec)

    def __post_init__(self) -> None:
        """Refuse names that no folder can be called by, before there is anything to store."""
        size = len(folder_name(f"{self.system}-{self.dataset}").encode())
        if size > LONGEST_NAME:
            found = f"The names of system and dataset have {size} bytes together: {self.system[:40]}..."
            raise UsageError(found, f"at most {LONGEST_NAME}, as a folder is called by them", "--name SHORTER")

    @property
    def run_id(self) -> str:
        return f"{folder_name(f'{self.system}-{self.dataset}')}-s{self.seed}-{self.digest[:8]}"

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
            stated, named = data["digest"], data["run_id"]
        except (KeyError, TypeError, AttributeError) as error:
            wrong = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise IntegrityError(f"{origin} is not a run's manifest: {wrong}.", "", "mmbench list runs") from error
        if run.digest != stated:
            raise IntegrityError(
                f"{origin} was changed: its spec has digest {run.digest}, but it says {stated}.",
                "a manifest as mmbench wrote it",
                "restore the file, or start the run again in another --out folder",
            )
        if run.run_id != named:  # what is shown of a run from before manifests had checksums stands in its id, too
            found = f"{origin} was changed: it is of {run.run_id} by what it says of system, dataset and seed."
            raise IntegrityError(found, f"what makes the id {named}", "restore the file")
        return run


def make_runspec(system: System, dataset: Dataset, seed: int, system_name: str, dataset_name: str) -> RunSpec:
    """The identity of the run of `system` on `dataset` with `seed`."""
    spec: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "mmbench": __version__,
        "system": {"name": system_name, "weights": system.weights, "code": system_code(system), **system.spec()},
        "dataset": {"name": dataset.name, "code": dataset_code(dataset), **dataset.spec()},
        "seed": seed,
    }
    source = video_source(system)
    about = {"name": source.name, "weights": source.weights, "code": system_code(source), **video_spec_of(source)}
    video, video_of = digest_of({**spec, "system": about}), ""
    if source is not system:
        video_of, spec["video"] = source.name, video
    spec = json.loads(canonical_json(spec))  # tuples become lists here, so that a reread manifest has the same digest
    return RunSpec(system_name, dataset_name, seed, system.weights, spec, video, video_of)


def system_code(system: System) -> str:
    """Digest of the code that draws a system's samples: its class, the file that registers it, what it is made of."""
    return code_digest(_modules_of(system), SYSTEM_ROOMS)


def dataset_code(dataset: Dataset) -> str:
    """Digest of the code that makes a dataset's clips and prompts."""
    return code_digest(_origins("dataset", dataset, dataset.name), DATASET_ROOMS)


def _modules_of(system: Any) -> list[str]:
    sources = [system.video_source] if isinstance(system, OnVideos) else []
    sources += [system.audio_source] if isinstance(system, UsesAudioOf) else []
    mine = _origins("system", system, system.name.partition("+")[0])
    return [*mine, *(module for source in sources for module in _modules_of(source))]


def _origins(kind: Kind, thing: object, name: str) -> list[str]:
    """The modules that define a thing: that of its class, and the one that registers its name."""
    entry = discover(kind)[0].get(name)
    return [type(thing).__module__, *([entry.origin] if entry else [])]


def video_source(system: System) -> System:
    """The system that makes the videos which a system shows: itself, or what an `OnVideos` names."""
    return video_source(system.video_source) if isinstance(system, OnVideos) else system


def make_requests(dataset: Dataset, num: int, seed: int) -> list[Request]:
    """The first `num` requests of a run."""
    return [Request(prompt, index, seed) for index, prompt in enumerate(dataset.prompts(num, seed))]
