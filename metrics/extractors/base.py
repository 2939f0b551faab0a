"""The feature networks as extractors: I3D logits, VGGish embeddings, ImageBind embeddings of video, sound and text.

Importing this needs no torch; a network is built, and its weights are looked for, at the first clip. Features are
float32 with TF32 off, and do not depend on how clips are batched, up to rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.extractors.device import require_device
from mmbench.networks.devices import exact_float32, local_device
from mmbench.types import Clip, Features, Modality, Spec, Weights
from mmbench.weights import locations
from mmbench.weights.known import KNOWN


class NetworkExtractor(ABC):
    """Base of the extractors that are networks: builds the network at the first clip, and runs it in exact float32.

    Args:
        weights: "real" takes the published file, "random" a deterministic stand-in for tests and dry runs.
        device: A torch device; "auto" takes a GPU if there is one, each process of a launcher its own of several.
        batch_size: Clips or texts in a batch, and ImageBind views that go through the network at a time.
        salt: Another salt gives other random weights.
    """

    name: str
    modality: Modality
    official: tuple[str, ...]  # names in mmbench.weights.known
    preprocessing: ClassVar[str]  # how input is made; changes whenever its output does
    default_batch_size: ClassVar[int] = 16

    def __init__(
        self,
        weights: Literal["real", "random"] = "real",
        *,
        device: str = "auto",
        batch_size: int | None = None,
        salt: str = "",
    ) -> None:
        if weights not in ("real", "random"):
            raise UsageError(f"{self.name} has no {weights!r} weights.", "real or random")
        self.weights: Weights = weights
        self.batch_size = batch_size or self.default_batch_size
        self.salt, self._device = salt, device

    def spec(self) -> Spec:
        """Digests of the weights, and how their input is made."""
        real = "+".join(str(KNOWN[name].sha256) for name in self.official)
        return {
            "weights": real if self.weights == "real" else f"random-{self.salt}",
            "preprocessing": self.preprocessing,
        }

    @cached_property
    def device(self) -> Any:
        """The torch device in use."""
        import torch

        return torch.device(local_device(self._device))

    @cached_property
    def network(self) -> Any:
        """The network with its weights, on the device."""
        return self._load().to(self.device)

    def prepare(self) -> None:
        """Look for the weights and the device, so that missing ones are known before any clip is made or decoded.

        Raises:
            MMBenchError: They are not here; says how to fetch them.
        """
        require_device(self._device)
        if self.weights == "real":
            for name in self.official:
                locations.locate(name)

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        """Features of each clip or text, in exact float32.

        Raises:
            MMBenchError: The weights are not here, or a clip is too short or without sound.
        """
        network = self.network
        with exact_float32():
            return self._features(network, batch)

    @abstractmethod
    def _features(self, network: Any, batch: Sequence[Any]) -> list[Features]:
        """Features of clips or texts, one after the other."""

    @abstractmethod
    def _load(self) -> Any:
        """The network with its weights."""


class PublishedExtractor(NetworkExtractor):
    """A network whose weights somebody published, or the same network with random ones."""

    def _load(self) -> Any:
        return self._real() if self.weights == "real" else self._random()

    @abstractmethod
    def _real(self) -> Any:
        """The network with the published weights."""

    @abstractmethod
    def _random(self) -> Any:
        """The network with random weights."""


def require_sound(clip: Clip) -> np.ndarray:
    """The samples (S,) of a clip; MMBenchError if it has none."""
    if not len(clip.audio):
        raise MMBenchError("The clip has no audio.", "at least one sample")
    return clip.audio
