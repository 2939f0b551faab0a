"""What is known of the clips that a job scores before it scores them: how long they are, whether they have prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mmbench.errors import MediaError
from mmbench.features.extract import Sample
from mmbench.media.sources import CutSource, FileSource, probe_file
from mmbench.scores.accounting import length_of
from mmbench.types import Dataset


@dataclass(frozen=True)
class GivenClips:
    """What metrics must know of clips before they score them.

    Attributes:
        name: What the clips are called.
        seconds: Length of the longest [s].
        has_prompts: Whether any has a prompt.
    """

    name: str
    seconds: float
    has_prompts: bool


def clips_of_dataset(dataset: Dataset, num: int, seed: int) -> GivenClips:
    """What the first `num` clips made for a dataset will be."""
    prompts = dataset.prompts(num, seed)
    return GivenClips(dataset.name, dataset.format.seconds, any(prompt.text for prompt in prompts))


def clips_of_samples(name: str, samples: Sequence[Sample | None]) -> GivenClips:
    """What the clips of a run or submission are; none is decoded."""
    there = [sample for sample in samples if sample is not None]
    return GivenClips(name, max(map(_seconds, there), default=0.0), any(sample.text for sample in there))


def _seconds(sample: Sample) -> float:
    """Length of a clip's picture [s], by its size on record or its file's own description."""
    if sample.content is not None:
        return length_of(sample.content.size)[0]
    source = sample.source
    if not isinstance(source, FileSource | CutSource):
        return float("inf")
    try:
        video = probe_file(source.path)["video"]
    except MediaError:  # it was there when the clips were listed; the reason is told where it is decoded
        return 0.0
    frames = source.num_frames if isinstance(source, CutSource) else video["frames"]
    return float(frames / Fraction(video["fps"]))
