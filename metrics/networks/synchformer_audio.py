"""The audio tower of Synchformer: the audio spectrogram transformer (AST) on 0.64 s of sound.

Own writing of hkchengrex/av-benchmark@050a5cd:av_bench/synchformer/ast.py and hf_src/modeling_ast.py (arXiv 2104.01778)
under the key names of the published checkpoint, which those of transformers' ASTModel no longer are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.metrics.networks.synchformer_layers import QueryKeyValue, Summary

NORM_EPS = 1e-12


@dataclass(frozen=True)
class AudioTowerConfig:
    """Sizes of the audio tower; the defaults are those of the published model.

    Attributes:
        width, depth, heads, hidden: Of the transformer; `hidden` channels in its feed-forward parts.
        patch, stride: Side of a patch and distance of two, in mel bands and in frames.
        mels, frames: Size of a log-mel segment.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    patch: int = 16
    stride: int = 10
    mels: int = 128
    frames: int = 66

    @property
    def rows(self) -> int:
        """Patches along the mel axis."""
        return (self.mels - self.patch) // self.stride + 1

    @property
    def steps(self) -> int:
        """Patches along time."""
        return (self.frames - self.patch) // self.stride + 1


class Attention(nn.Module):
    """Self-attention and the projection after it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = QueryKeyValue(width, heads)
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, x: Tensor) -> Tensor:
        return self.output["dense"](self.attention(x))


class EncoderLayer(nn.Module):
    """Pre-norm block of the transformer."""

    def __init__(self, config: AudioTowerConfig) -> None:
        super().__init__()
        width = config.width
        self.attention = Attention(width, config.heads)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, config.hidden)})
        self.output = nn.ModuleDict({"dense": nn.Linear(config.hidden, width)})
        self.layernorm_before, self.layernorm_after = (nn.LayerNorm(width, eps=NORM_EPS) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.layernorm_before(x))
        return x + self.output["dense"](F.gelu(self.intermediate["dense"](self.layernorm_after(x))))


class Embeddings(nn.Module):
    """Patches, mel-major, behind a class and a distillation token, with their positions."""

    def __init__(self, config: AudioTowerConfig) -> None:
        super().__init__()
        self.cls_token, self.distillation_token = (nn.Parameter(torch.zeros(1, 1, config.width)) for _ in range(2))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 2 + config.rows * config.steps, config.width))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(1, config.width, config.patch, config.stride)})

    def forward(self, mel: Tensor) -> Tensor:
        tokens = self.patch_embeddings["projection"](mel[:, None]).flatten(2).transpose(1, 2)
        start = torch.cat([self.cls_token, self.distillation_token], dim=1).expand(len(mel), -1, -1)
        return torch.cat([start, tokens], dim=1) + self.position_embeddings


class SpectrogramTransformer(nn.Module):
    """AST without a classifier."""

    def __init__(self, config: AudioTowerConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.Sequential(*(EncoderLayer(config) for _ in range(config.depth)))})
        self.layernorm = nn.LayerNorm(config.width, eps=NORM_EPS)

    def forward(self, mel: Tensor) -> Tensor:
        """Map (n, mels, frames) to normalised tokens (n, 2 + rows * steps, width)."""
        return self.layernorm(self.encoder["layer"](self.embeddings(mel)))


class AudioTower(nn.Module):
    """Segments of sound to a vector per time step."""

    def __init__(self, config: AudioTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.ast = SpectrogramTransformer(config)
        self.freq_attn_agg = Summary(config.width, config.heads, config.hidden)
        self.eval()

    def forward(self, mel: Tensor) -> Tensor:
        """Map normalised log-mel segments (n, 128, 66) to (n, 6, 768)."""
        tokens = self.ast(mel)[:, 2:].unflatten(1, (self.config.rows, self.config.steps))
        return self.freq_attn_agg(tokens.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(mel), -1))
