"""Control: real video with the sound of another real clip of the same prompt; each modality real, the pair wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mmbench.baselines.ground_truth import STREAM
from mmbench.errors import MMBenchError
from mmbench.registry import register
from mmbench.types import Clip, Dataset, Item, Request, Spec, Weights

SAME_PROMPT_DRAWS = 12  # a prompt with two clips fails to give the other one in 12 draws with probability 2**-12
OTHER_PROMPTS = 64  # of the run's first prompts, among which the sound is looked for when the own prompt has one clip


@register("system", "independent", "Control: real video with the audio of another real clip of the same prompt.")
class Independent:
    """Pairs the video of `ground_truth` with the audio of a different real item."""

    name = "independent"
    weights: Weights = "none"

    def __init__(self, *, dataset: Dataset) -> None:
        self.dataset = dataset

    def spec(self) -> Spec:
        """Version of the control, and the dataset the clips come from."""
        return {"system": self.name, "version": 2, "dataset": self.dataset.spec()}

    def _candidates(self, request: Request) -> Iterator[Item]:
        """Real items of the same prompt; then, for datasets where every clip has its own caption, of other prompts."""
        for draw in range(SAME_PROMPT_DRAWS):
            yield self.dataset.real(request, f"independent {draw}")
        prompts = self.dataset.prompts(OTHER_PROMPTS, request.seed)
        for k in request.rng("independent prompts").permutation(len(prompts)):
            yield self.dataset.real(replace(request, prompt=prompts[k]), "independent other")

    def _other(self, request: Request, item: Item) -> Item:
        for other in self._candidates(request):
            if other.id != item.id and other.clip.audio_digest() != item.clip.audio_digest():
                return other
        raise MMBenchError(
            f"Dataset {self.dataset.name!r} has no second real clip with another sound.",
            "at least two held-out clips with different sound",
            "a dataset with more clips, or ground_truth alone",
        )

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order; raises MMBenchError if the dataset has a single sound."""
        for request in requests:
            item = self.dataset.real(request, STREAM)
            other = self._other(request, item)
            yield replace(item.clip, audio=other.clip.audio, sample_rate=other.clip.sample_rate)
