"""Requests as lines: what a model's author generates from elsewhere, and what a folder of clips is checked against.

A line holds what a program of `external:` is given (baselines/external.py), with the name that its clip is expected
under in place of a path; the number in `seed` is the same, so that both ways to run a model make the same clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmbench.dataset_names import parse_dataset_name
from mmbench.identity import canonical_json
from mmbench.types import Dataset, Request


@dataclass(frozen=True)
class RequestLine:
    """One clip that is requested.

    Attributes:
        id: Stem of the clip's file: the index in six digits, as in the store of a run.
        file: Name of the clip's file; any suffix of a video will do, or a video and a sound of this stem.
        prompt: What it should show and sound like; "" for datasets without texts.
        prompt_id: Of the prompt in its dataset.
        index: Place in the run.
        seed: For the model's own randomness, in [0, 2^31).
        num_frames, height, width, fps, num_samples, sample_rate: Length, size [px] and rates [1/s, Hz] it should have.
        dataset: Name of the dataset, without a path.
        run_seed: The seed that the prompts were drawn with.
        sha256: Over the canonical JSON of all of the above, so that a line which was changed is found out.
    """

    id: str
    file: str
    prompt: str
    prompt_id: str
    index: int
    seed: int
    num_frames: int
    height: int
    width: int
    fps: float
    num_samples: int
    sample_rate: int
    dataset: str
    run_seed: int
    sha256: str

    @property
    def size(self) -> str:
        """What was requested, as `Clip.size` says what a clip has."""
        video = f"{self.num_frames}x{self.height}x{self.width}@{self.fps:g}"
        return f"{video}+{self.num_samples}@{self.sample_rate}"


def line_digest(values: Mapping[str, Any]) -> str:
    """sha256 of a line's values without `sha256`: of their JSON with sorted keys and no spaces, in UTF-8."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()


def list_requests(dataset: Dataset, name: str, num: int, seed: int) -> Iterator[RequestLine]:
    """The first `num` requests of a run, one after the other.

    Args:
        dataset: What is generated for.
        name: As it was typed; a path in it is left out.
        num: How many.
        seed: Of the run.
    """
    f = dataset.format
    form = {"num_frames": int(f.num_frames), "height": int(f.height), "width": int(f.width), "fps": float(f.fps)}
    form |= {"num_samples": int(f.num_samples), "sample_rate": int(f.sample_rate)}
    of = {"dataset": parse_dataset_name(name).base, "run_seed": seed}
    for index, prompt in enumerate(dataset.prompts(num, seed)):
        own = int(Request(prompt, index, seed).rng("external").integers(2**31))
        about = {"id": f"{index:06d}", "file": f"{index:06d}.mp4", "prompt": prompt.text, "prompt_id": prompt.id}
        values: dict[str, Any] = {**about, "index": index, "seed": own, **form, **of}
        yield RequestLine(**values, sha256=line_digest(values))
