"""Networks that can compute in bfloat16, as extractors of their own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

from mmbench.metrics.extractors.base import PublishedExtractor
from mmbench.networks.devices import channels_last, computing_in
from mmbench.types import Spec

SUFFIX = "_bfloat16"  # of presets and extractors


def precision_of(variant: str) -> Literal["ieee", "bfloat16"]:
    """What the networks of a metric's preset compute in: bfloat16 where its name ends in it."""
    return "bfloat16" if variant.endswith(SUFFIX) else "ieee"


class PrecisionExtractor(PublishedExtractor):
    """A published network in float32 or in bfloat16: then of another name, so that no features are taken for others.

    Args:
        weights: "real" or "random".
        precision: "bfloat16" has products and convolutions in it, with weights laid out by channel, while sums, what
            goes in and what comes out are float32; what that gives depends on the machine. "ieee" is float32.
        **placement: As for every network: device, batch_size, salt.
    """

    def __init__(
        self,
        weights: Literal["real", "random"] = "real",
        *,
        precision: Literal["ieee", "bfloat16"] = "ieee",
        **placement: Any,
    ) -> None:
        super().__init__(weights, **placement)
        self.precision = precision
        if precision != "ieee":
            self.name = f"{self.name}{SUFFIX}"

    def spec(self) -> Spec:
        """Digests of the weights, how their input is made, and the precision where it is not float32."""
        return super().spec() if self.precision == "ieee" else {**super().spec(), "precision": self.precision}

    def computing(self) -> AbstractContextManager[None]:
        """Run the block, which is the network's alone, in the extractor's precision."""
        return computing_in(self.precision, self.device.type)

    def _load(self) -> Any:
        network = super()._load()
        if self.precision != "ieee":
            channels_last(network, volumes=True)
        return network
