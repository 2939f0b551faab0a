"""Audiobox Aesthetics (arXiv 2502.05139): WavLM and a head for each of four scores of a sound.

Own writing of facebookresearch/audiobox-aesthetics@2618e9d (src/audiobox_aesthetics/model/aes.py) around transformers'
layers of WavLM, which equal those of its wavlm.py; which frames count as padding, and the sum over layers, do not.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import WavLMConfig, WavLMModel

from mmbench.networks.state_dicts import State, load_state, rename

AXES = ("CE", "CU", "PC", "PQ")  # content enjoyment and usefulness, production complexity and quality


@dataclass(frozen=True)
class AudioboxConfig:
    """Sizes of the network: the release's, whose head has five layers with norms.

    Attributes:
        width: Of WavLM's layers; a multiple of heads and of `position_groups`.
        depth: Layers.
        heads: Of attention.
        feedforward: Width between a layer's two products.
        convolutions: Channels, kernel and stride of each.
        position_kernel: Of the convolution over frames that stands for positions.
        position_groups: Its groups.
        buckets: Of relative positions.
        max_distance: From which on all share a bucket [frames].
        head_layers: Of each of the four heads.
        head_norm: Whether they have norms.
        normalized: Whether heads get unit vectors.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    feedforward: int = 3072
    convolutions: tuple[tuple[int, int, int], ...] = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)
    position_kernel: int = 128
    position_groups: int = 16
    buckets: int = 320
    max_distance: int = 800
    head_layers: int = 5
    head_norm: bool = True
    normalized: bool = True


FULL = AudioboxConfig()
NARROW = ((16, 10, 5), *((16, 3, 2),) * 4, *((16, 2, 2),) * 2)
SMALL = AudioboxConfig(24, 2, 4, 48, NARROW, 16, 4, 32, 80, 2)


def _wavlm(config: AudioboxConfig) -> WavLMModel:
    channels, kernels, strides = zip(*config.convolutions, strict=True)
    sizes: dict[str, Any] = {
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.feedforward,
        "conv_dim": channels,
        "conv_kernel": kernels,
        "conv_stride": strides,
        "num_feat_extract_layers": len(channels),
        "num_conv_pos_embeddings": config.position_kernel,
        "num_conv_pos_embedding_groups": config.position_groups,
        "num_buckets": config.buckets,
        "max_bucket_distance": config.max_distance,
        "mask_time_prob": 0.0,
    }
    return WavLMModel(WavLMConfig(**sizes))


def _head(config: AudioboxConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(config.head_layers - 1):
        layers.append(nn.Linear(config.width, config.width))
        layers += [nn.LayerNorm(config.width)] if config.head_norm else []
        layers.append(nn.GELU())
    return nn.Sequential(*layers, nn.Linear(config.width, 1))


class Audiobox(nn.Module):
    """Windows of sound at 16 kHz to four raw scores each.

    Args:
        config: Sizes.
    """

    def __init__(self, config: AudioboxConfig) -> None:
        super().__init__()
        self.config = config
        self.wavlm = _wavlm(config)
        if config.convolutions[-1][0] == config.width:
            self.wavlm.feature_projection.projection = nn.Identity()
        self.layer_weights = nn.ParameterDict({axis: nn.Parameter(torch.zeros(config.depth + 1)) for axis in AXES})
        self.proj_layer = nn.ModuleDict({axis: _head(config) for axis in AXES})
        self.eval()

    def convolve(self, waves: Tensor) -> Tensor:
        """(n, s) to (n, frames, channels); the first layer's norm sees the padding, too."""
        found: Tensor = self.wavlm.feature_extractor(waves).transpose(1, 2)
        return found

    def hidden_states(self, convolved: Tensor, valid: Tensor) -> list[Tensor]:
        """The input of WavLM's layers and what each gives: depth + 1 of (n, frames, width).

        Args:
            convolved: (n, frames, channels).
            valid: (n, frames) bool, False where a frame is padding.
        """
        encoder = self.wavlm.encoder
        x = self.wavlm.feature_projection(convolved)[0].masked_fill(~valid[..., None], 0.0)
        states, bias = [encoder.layer_norm(x + encoder.pos_conv_embed(x))], None
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Support for mismatched key_padding_mask", UserWarning
            )  # transformers' own
            for layer in encoder.layers:
                x, bias = layer(states[-1], attention_mask=valid, position_bias=bias)
                states.append(x)
        return states

    def forward(self, waves: Tensor, real: Tensor) -> Tensor:
        """Raw scores (n, 4) in the order of `AXES`.

        Args:
            waves: (n, s) float32 at 16 kHz, with zeros behind what is shorter.
            real: (n, s) bool, False for those zeros.
        """
        convolved = self.convolve(waves)
        valid = valid_frames(real, convolved.shape[1])
        states, frames = torch.stack(self.hidden_states(convolved, valid)), valid[..., None].to(waves.dtype)
        found = []
        for axis in AXES:
            summed = torch.einsum("lntc,l->ntc", states, self.layer_weights[axis].softmax(0))
            mean = (summed * frames).sum(1) / frames.sum(1).clamp(min=1)
            found.append(self.proj_layer[axis](F.normalize(mean, dim=-1) if self.config.normalized else mean))
        return torch.cat(found, dim=1)


def valid_frames(real: Tensor, frames: int) -> Tensor:
    """Which frames (n, frames) hold a real sample (n, s): each stands for s // frames of them, the rest is left out."""
    each = real.shape[1] // frames
    return real[:, : each * frames].unflatten(1, (frames, each)).any(-1)


RENAMED = (
    ("wavlm_model.", "wavlm."),
    ("wavlm.layer_norm.", "wavlm.feature_projection.layer_norm."),
    (".post_extract_proj.", ".feature_projection.projection."),
    (".pos_conv.0.weight_g", ".pos_conv_embed.conv.parametrizations.weight.original0"),
    (".pos_conv.0.weight_v", ".pos_conv_embed.conv.parametrizations.weight.original1"),
    (".pos_conv.0.bias", ".pos_conv_embed.conv.bias"),
    (".self_attn.grep_a", ".self_attn.gru_rel_pos_const"),
    (".self_attn.grep_linear.", ".self_attn.gru_rel_pos_linear."),
    (".self_attn.relative_attention_bias.", ".self_attn.rel_attn_embed."),
    (".self_attn_layer_norm.", ".layer_norm."),
    (".self_attn.", ".attention."),
    (".fc1.", ".feed_forward.intermediate_dense."),
    (".fc2.", ".feed_forward.output_dense."),
)


def new_name(name: str) -> str:
    """The name here of a tensor of the release."""
    for old, new in RENAMED:
        name = name.replace(old, new)
    head, layers, rest = name.partition(".conv_layers.")
    if layers:
        number, _, part = rest.partition(".")
        name = f"{head}{layers}{number}.{'conv' if part.startswith('0') else 'layer_norm'}.{part.partition('.')[2]}"
    return name


def load(network: Audiobox, state: Mapping[str, Tensor], source: str) -> None:
    """Give a network the tensors of a release; `mask_emb` is for training alone.

    Raises:
        MMBenchError: A tensor is missing, has another shape, or has no place.
    """
    needed: State = {name: value for name, value in state.items() if name != "wavlm_model.mask_emb"}
    load_state(network, rename(needed, new_name, source), source)
