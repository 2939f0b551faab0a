"""Parts of published models: read from their folder, or built with random weights; frozen, on one device.

`weights` is "real" for the published files, "random" for untrained networks of the published size, and "tiny" for the
same classes with few channels. Random weights depend on the part's name alone, so a run can be repeated anywhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmbench.errors import UsageError
from mmbench.networks.devices import channels_last
from mmbench.types import Weights
from mmbench.weights import checkpoints as published
from mmbench.weights.folders import loading
from mmbench.weights.locations import entry, remedy_for


@dataclass(frozen=True)
class Parts:
    """Origin of the weights of one model's parts, and their device and precision.

    Attributes:
        name: The model's name in `mmbench.weights.known`.
        weights: "real", "random" or "tiny".
        device: Where they run.
        dtype: Precision of the weights of denoisers; None leaves float32.
        compiled: Denoisers are compiled by torch when first called.
    """

    name: str
    weights: Weights = "real"
    device: str = "cpu"
    dtype: torch.dtype | None = None
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.weights not in ("real", "random", "tiny"):
            raise UsageError(f"{self.name} has no {self.weights!r} weights.", "real, random or tiny")

    @property
    def folder(self) -> Path | None:
        """The published folder or file, verified; None unless the weights are real."""
        return published.verify(self.name).path if self.weights == "real" else None

    def build(self, kind: Any, full: Mapping[str, Any], tiny: Mapping[str, Any], subfolder: str = "") -> Any:
        """Load or build one part: a class of diffusers or transformers, or any module with `from_pretrained`.

        Args:
            kind: The class.
            full: Arguments of its published size.
            tiny: What differs in the small one.
            subfolder: Where it lies in the published folder.
        """
        if (folder := self.folder) is not None:
            remedy = remedy_for(entry(self.name))
            with loading(folder / subfolder, f"the folder of {kind.__name__} as published", remedy):
                return self.place(kind.from_pretrained(folder / subfolder, local_files_only=True))
        return self.place(self.new(kind, full, tiny, subfolder))

    def new(self, kind: Any, full: Mapping[str, Any], tiny: Mapping[str, Any], label: str) -> Any:
        """Build the part untrained; `label` names it among the parts."""
        config = {**full, **tiny} if self.weights == "tiny" else full
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(f"{self.name}/{label}".encode()))
            return kind(kind.config_class(**config)) if getattr(kind, "config_class", None) else kind(**config)

    def place(self, module: nn.Module) -> Any:
        """Put a network on the device, frozen, in evaluation mode."""
        return module.to(self.device).eval().requires_grad_(False)

    def denoiser(self, module: nn.Module) -> Any:
        """Put a network that is called at every step on the device, in the fastest layout and given precision."""
        placed = self.place(module)
        if self.device.startswith("cuda"):
            channels_last(placed)
        if self.dtype is not None:
            placed = nn.Module.to(placed, self.dtype)  # theirs warns, of no module
        return torch.compile(placed) if self.compiled else placed
