"""PaSST, a transformer that names 527 kinds of sound in a spectrogram (arXiv 2110.05069).

Own writing of kkoutini/passt_hear21@5f1cce6:hear21passt/models/passt.py without patchout, which only training has,
under the key names of the published checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-6
UNUSED = ("head_dist.weight", "head_dist.bias")  # of the checkpoint: a second head that no output comes from


@dataclass(frozen=True)
class PaSSTConfig:
    """Sizes of a PaSST; the defaults are those of the published one.

    Attributes:
        width, depth, heads: Of the transformer.
        mels, frames: Size of the spectrogram that positions are known for; of longer ones the start is looked at.
        patch, stride: Side of a patch and distance of two, in mel bands and in frames.
        classes: Kinds of sound.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    mels: int = 128
    frames: int = 998
    patch: int = 16
    stride: int = 10
    classes: int = 527


FULL = PaSSTConfig()
SMALL = PaSSTConfig(width=48, depth=2, heads=4)  # for dry runs


class Attention(nn.Module):
    """Self-attention with one projection for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=NORM_EPS) for _ in range(2))
        self.attn = Attention(width, heads)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class PaSST(nn.Module):
    """PaSST, 86 M parameters at its published size.

    Args:
        config: Sizes.
    """

    def __init__(self, config: PaSSTConfig) -> None:
        super().__init__()
        width = config.width
        rows, steps = ((size - config.patch) // config.stride + 1 for size in (config.mels, config.frames))
        self.cls_token, self.dist_token = (nn.Parameter(torch.zeros(1, 1, width)) for _ in range(2))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, width))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, width, rows, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, width, 1, steps))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, width, config.patch, config.stride)})
        self.blocks = nn.Sequential(*(Block(width, config.heads) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.classes))
        self.eval()

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Map spectrograms (n, mels, frames) to features (n, width) and logits (n, classes)."""
        patches = self.patch_embed["proj"](mel[:, None])[..., : self.time_new_pos_embed.shape[-1]]
        patches = patches + self.time_new_pos_embed[..., : patches.shape[-1]] + self.freq_new_pos_embed
        start = torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed
        tokens = torch.cat([start.expand(len(mel), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        features = self.norm(self.blocks(tokens))[:, :2].mean(dim=1)
        return features, self.head(features)
