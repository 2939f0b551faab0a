"""The video tower of Synchformer: MotionFormer with divided attention, first over time and then over space.

Own writing of hkchengrex/av-benchmark@050a5cd:av_bench/synchformer/{motionformer,video_model_builder,vit_helper}.py
(facebookresearch/Motionformer, arXiv 2106.05392, adapted by Synchformer, arXiv 2401.16423) under the key names of the
published checkpoint.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmbench.metrics.networks.synchformer_layers import Summary, attend

NORM_EPS = 1e-6


@dataclass(frozen=True)
class VideoTowerConfig:
    """Sizes of the video tower; the defaults are those of the published model.

    Attributes:
        width, depth, heads: Of the transformer.
        mlp_ratio: Hidden channels of its feed-forward parts, as a multiple of its width.
        patch: Height and width of a patch [px].
        patch_frames: Frames in a patch.
        frames: Frames in a segment.
        size: Height and width of a frame [px].
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4
    patch: int = 16
    patch_frames: int = 2
    frames: int = 16
    size: int = 224

    @property
    def hidden(self) -> int:
        """Hidden channels of a feed-forward part."""
        return int(self.mlp_ratio * self.width)

    @property
    def steps(self) -> int:
        """Time steps of a segment."""
        return self.frames // self.patch_frames

    @property
    def patches(self) -> int:
        """Patches of a time step."""
        return (self.size // self.patch) ** 2


class DividedAttention(nn.Module):
    """Tokens see the class token and those of their own group; the class token sees all."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, steps: int, over_time: bool) -> Tensor:
        """Map (n, 1 + steps * patches, width) to the same; groups are patches over time, or patches of one step."""
        n, length, width = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)

        def grouped(tokens: Tensor) -> Tensor:
            tokens = tokens[:, 1:].unflatten(1, (steps, -1))
            return (tokens.transpose(1, 2) if over_time else tokens).flatten(0, 1)

        def behind_class(tokens: Tensor) -> Tensor:
            groups = grouped(tokens)
            return torch.cat([tokens[:, :1].repeat_interleave(len(groups) // n, dim=0), groups], dim=1)

        seen = attend(grouped(q), behind_class(k), behind_class(v), self.heads).unflatten(0, (n, -1))
        seen = (seen.transpose(1, 2) if over_time else seen).reshape(n, length - 1, width)
        return self.proj(torch.cat([attend(q[:, :1], k, v, self.heads), seen], dim=1))


class DividedBlock(nn.Module):
    """Pre-norm block: attention over time, attention over space, feed-forward."""

    def __init__(self, config: VideoTowerConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=NORM_EPS) for _ in range(3))
        self.attn, self.timeattn = (DividedAttention(width, config.heads) for _ in range(2))
        layers = [("fc1", nn.Linear(width, hidden)), ("gelu", nn.GELU()), ("fc2", nn.Linear(hidden, width))]
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: Tensor, steps: int) -> Tensor:
        x = x + self.timeattn(self.norm3(x), steps, over_time=True)
        x = x + self.attn(self.norm1(x), steps, over_time=False)
        return x + self.mlp(self.norm2(x))


class PatchProjection(nn.Module):
    """A linear map of patches."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.proj = convolution

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class VideoTower(nn.Module):
    """Segments of video to a vector per time step.

    Args:
        config: Sizes.
    """

    def __init__(self, config: VideoTowerConfig) -> None:
        super().__init__()
        self.config, width, patch = config, config.width, (config.patch, config.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.patches, width))
        self.temp_embed = nn.Parameter(torch.zeros(1, config.steps, width))
        self.patch_embed = PatchProjection(nn.Conv2d(3, width, patch, patch))  # a key of the checkpoint, never used
        kernel = (config.patch_frames, *patch)
        self.patch_embed_3d = PatchProjection(nn.Conv3d(3, width, kernel, kernel))
        self.blocks = nn.ModuleList(DividedBlock(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.spatial_attn_agg = Summary(width, config.heads, config.hidden)
        self.eval()

    def embed(self, video: Tensor) -> Tensor:
        """Tokens of segments with their positions: (n, frames, 3, h, w) to (n, 1 + steps * patches, width)."""
        tokens = self.patch_embed_3d(video.transpose(1, 2)).unflatten(1, (self.config.steps, -1))
        tokens = tokens + self.pos_embed[:, None, 1:] + self.temp_embed[:, :, None]
        start = (self.cls_token + self.pos_embed[:, :1]).expand(len(video), -1, -1)
        return torch.cat([start, tokens.flatten(1, 2)], dim=1)

    def forward(self, video: Tensor) -> Tensor:
        """Map normalised segments (n, 16, 3, 224, 224), in [-1, 1], to (n, 8, 768)."""
        x = self.embed(video)
        for block in self.blocks:
            x = block(x, self.config.steps)
        steps = self.norm(x[:, 1:]).unflatten(1, (self.config.steps, -1))
        return self.spatial_attn_agg(steps.flatten(0, 1)).unflatten(0, (len(video), -1))
