"""VideoMAE-v2, the video network of cd-FVD: a transformer over patches of 2 frames by 14x14 pixels.

Own writing of songweige/content-debiased-fvd@a1e037a:cdfvd/third_party/VideoMAEv2/{videomaev2_finetune,utils}.py
(`vit_giant_patch14_224`; OpenGVLab/VideoMAEv2, arXiv 2303.16727), under the key names of its checkpoint. `transformers`
has a VideoMAE, but none whose positions fit other numbers of frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 224  # [px]


@dataclass(frozen=True)
class VideoMAEConfig:
    """Sizes; the perceptrons are `mlp_ratio` times as wide as the tokens."""

    width: int = 1408
    depth: int = 40
    heads: int = 16
    mlp_ratio: float = 48 / 11
    patch: int = 14
    tubelet: int = 2
    frames: int = 16
    classes: int = 174

    @property
    def grid(self) -> tuple[int, int, int]:
        """Patches over time, height and width."""
        return self.frames // self.tubelet, SIZE // self.patch, SIZE // self.patch


# FULL is ViT-g, with 1.01 G parameters; SMALL is for random weights
FULL = VideoMAEConfig()
SMALL = VideoMAEConfig(width=44, depth=2, heads=4)


@cache
def sinusoids(length: int, width: int) -> Tensor:
    """Fixed positions (length, width) float32: position / 10000^(2 (j // 2) / width), its sine where j is even."""
    j = np.arange(width)
    angle = np.arange(length)[:, None] / np.power(10000.0, 2 * (j // 2) / width)
    return torch.from_numpy(np.where(j % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32))


class Attention(nn.Module):
    """Multi-head self-attention whose keys have no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = (nn.Parameter(torch.zeros(width)) for _ in range(2))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, length, width) to the same."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        q, k, v = F.linear(x, self.qkv.weight, bias).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(config.width, eps=1e-6) for _ in range(2))
        self.attn = Attention(config.width, config.heads)
        self.mlp = Perceptron(config.width, int(config.width * config.mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VideoMAE(nn.Module):
    """Features of videos, taken before the head; the head is in the checkpoint and unused."""

    def __init__(self, config: VideoMAEConfig = FULL) -> None:
        super().__init__()
        kernel = (config.tubelet, config.patch, config.patch)
        self.config = config
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv3d(3, config.width, kernel, kernel)})
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.fc_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.classes)
        self.eval()

    def positions(self, frames: int) -> Tensor:
        """The fixed positions (tokens, width) of a video; other lengths than 16 frames stretch them over time."""
        t, h, w = self.config.grid
        table = sinusoids(t * h * w, self.config.width)
        if frames == self.config.frames:
            return table
        scale = (frames // self.config.tubelet + 0.1) / t, 1.0, 1.0  # the 0.1 keeps rounding from losing a step
        volume = table.T.reshape(1, -1, t, h, w)
        return F.interpolate(volume, scale_factor=scale, mode="trilinear", align_corners=False)[0].flatten(1).T

    def forward(self, video: Tensor) -> Tensor:
        """Map (n, 3, frames, 224, 224) in [0, 1] to (n, width)."""
        x = self.patch_embed["proj"](video).flatten(2).transpose(1, 2)
        x = x + self.positions(video.shape[2]).to(x)
        for block in self.blocks:
            x = block(x)
        return self.fc_norm(x.mean(1))


def preprocess_frames(frames: Tensor) -> Tensor:
    """Frames (t, h, w, 3) uint8 as (3, t, 224, 224) float32 in [0, 1]: bilinear, stretched, not antialiased."""
    x = frames.permute(3, 0, 1, 2).float() / 255.0
    return F.interpolate(x, (SIZE, SIZE), mode="bilinear", align_corners=False, antialias=False)
