"""Control: real held-out clips, the best any system can be expected to reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmbench.registry import register
from mmbench.types import Clip, Dataset, Request, Spec, Weights

STREAM = "real"  # shared with `independent`, so that the two show the same videos


@register("system", "ground_truth", "Control: real held-out clips of the dataset, audio and video as recorded.")
class GroundTruth:
    """Yields the real clip that fits each request's prompt."""

    name = "ground_truth"
    weights: Weights = "none"

    def __init__(self, *, dataset: Dataset) -> None:
        self.dataset = dataset

    def spec(self) -> Spec:
        """Version of the control, and the dataset the clips come from."""
        return {"system": self.name, "version": 1, "dataset": self.dataset.spec()}

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one real clip per request, in order."""
        for request in requests:
            yield self.dataset.real(request, STREAM).clip
