"""Audiobox Aesthetics (arXiv 2502.05139): WavLM and a head for each of four scores of a sound.

Own writing of facebookresearch/audiobox-aesthetics@2618e9d (src/audiobox_aesthetics/model/aes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.metrics.networks.wavlm import WavLM, WavLMSizes, valid_frames, wavlm_name
from mmbench.networks.state_dicts import load_state, rename

AXES = ("CE", "CU", "PC", "PQ")  # content enjoyment and usefulness, production complexity and quality


@dataclass(frozen=True)
class AudioboxConfig:
    """Sizes of the network, by default the release's.

    Attributes:
        wavlm: Of the encoder.
        head_layers: Of each of the four heads.
        head_norm: Whether they have norms.
        normalized: Whether they get unit vectors.
    """

    wavlm: WavLMSizes = WavLMSizes()  # noqa: RUF009 - frozen
    head_layers: int = 5
    head_norm: bool = True
    normalized: bool = True


FULL = AudioboxConfig()
NARROW = ((16, 10, 5), *((16, 3, 2),) * 4, *((16, 2, 2),) * 2)
SMALL = AudioboxConfig(WavLMSizes(24, 2, 4, 48, NARROW, 16, 4, 32, 80), head_layers=2)


def _head(width: int, layers: int, norm: bool) -> nn.Sequential:
    found: list[nn.Module] = []
    for _ in range(layers - 1):
        found += [nn.Linear(width, width), *([nn.LayerNorm(width)] if norm else []), nn.GELU()]
    return nn.Sequential(*found, nn.Linear(width, 1))


class Audiobox(nn.Module):
    """Windows of sound at 16 kHz to four raw scores each.

    Args:
        config: Sizes.
    """

    def __init__(self, config: AudioboxConfig) -> None:
        super().__init__()
        self.config, sizes = config, config.wavlm
        self.wavlm_model = WavLM(sizes)
        heads = {axis: _head(sizes.width, config.head_layers, config.head_norm) for axis in AXES}
        self.proj_layer = nn.ModuleDict(heads)
        self.layer_weights = nn.ParameterDict({axis: nn.Parameter(torch.zeros(sizes.depth + 1)) for axis in AXES})

    def forward(self, waves: Tensor, real: Tensor) -> Tensor:
        """Raw scores (n, 4) in the order of `AXES`.

        Args:
            waves: (n, s) float32 at 16 kHz, with zeros behind what is shorter.
            real: (n, s) bool, False for those zeros.
        """
        convolved = self.wavlm_model.convolve(waves)
        valid = valid_frames(real, convolved.shape[1])
        states = torch.stack(self.wavlm_model.hidden_states(convolved, valid))
        frames = valid[..., None].to(waves.dtype)
        found = []
        for axis in AXES:
            summed = torch.einsum("lntc,l->ntc", states, self.layer_weights[axis].softmax(0))
            mean = (summed * frames).sum(1) / frames.sum(1).clamp(min=1)
            found.append(self.proj_layer[axis](F.normalize(mean, dim=-1) if self.config.normalized else mean))
        return torch.cat(found, dim=1)


def load(network: Audiobox, state: Mapping[str, Tensor], source: str) -> None:
    """Give a network the tensors of a release; `mask_emb` is for training alone.

    Raises:
        MMBenchError: A tensor is missing, has another shape, or has no place.
    """
    needed = {name: value for name, value in state.items() if name != "wavlm_model.mask_emb"}
    load_state(network, rename(needed, new_name, source), source)


def new_name(name: str) -> str:
    """The name here of a tensor of the release."""
    prefix = "wavlm_model."
    return f"{prefix}model.{wavlm_name(name.removeprefix(prefix))}" if name.startswith(prefix) else name
