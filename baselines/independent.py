"""Control: real video with the sound of another real clip of the same prompt; each half perfect, jointly wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mmbench.baselines.ground_truth import STREAM
from mmbench.errors import MMBenchError
from mmbench.registry import register
from mmbench.types import Clip, Dataset, Item, Request, Spec, Weights

MAX_DRAWS = 64  # a prompt with two clips fails to give the other one in 64 draws with probability 2**-64


@register("system", "independent", "Control: real video with the audio of another real clip of the same prompt.")
class Independent:
    """Pairs the video of `ground_truth` with the audio of a different real item."""

    name = "independent"
    weights: Weights = "none"

    def __init__(self, *, dataset: Dataset, **_: Any) -> None:
        self.dataset = dataset

    def spec(self) -> Spec:
        """Version of the control, and the dataset the clips come from."""
        return {"system": self.name, "version": 1, "dataset": self.dataset.spec()}

    def _other(self, request: Request, item: Item) -> Item:
        for draw in range(MAX_DRAWS):
            other = self.dataset.real(request, f"independent {draw}")
            if other.id != item.id and other.clip.audio_digest() != item.clip.audio_digest():
                return other
        raise MMBenchError(
            f"Dataset {self.dataset.name!r} has no second real clip for prompt {request.prompt.id!r}.",
            "at least two clips with different sound per prompt",
            "a dataset with more clips, or ground_truth alone",
        )

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order; raises MMBenchError where a prompt has a single real clip."""
        for request in requests:
            item = self.dataset.real(request, STREAM)
            other = self._other(request, item)
            yield replace(item.clip, audio=other.clip.audio, sample_rate=other.clip.sample_rate)
