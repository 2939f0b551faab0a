"""Real clips after the codecs of `tiny`: what its diffusion models could reach at most.

mmbench --plugin results/tiny/codec_plugin.py run -s ground_truth -s codec_alone -s tiny -d bounce -n 128 --seed 3
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from mmbench.baselines.ground_truth import STREAM
from mmbench.baselines.kinds.pair import Sampling
from mmbench.baselines.models.tiny.pair import TinyPair
from mmbench.baselines.tiny import components
from mmbench.registry import register
from mmbench.types import Clip, Dataset, Request, Spec, Weights


@register("system", "codec_alone", "Real clips, encoded and decoded by the codecs of tiny.")
class CodecAlone:
    """The clips of `ground_truth`, each half through its codec; sounds get their phases as those of `tiny` do."""

    name = "codec_alone"
    weights: Weights = "trained"
    batch_size = 16

    def __init__(self, *, dataset: Dataset) -> None:
        self.dataset = dataset

    def spec(self) -> Spec:
        return {"system": self.name, "version": 1, "components": components("tiny"), "dataset": self.dataset.spec()}

    @cached_property
    def _pair(self) -> TinyPair:
        return TinyPair("cpu", Sampling())

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        for request in requests:
            video, audio = self._pair.encode(self.dataset.real(request, STREAM))[:2]
            yield from self._pair.decode(video[None], audio[None], [request])
