"""The transformer feature extractor ("ViT"): one CLIP-style vision transformer per modality.

Parameter names and arithmetic of SonyResearch/MMDisCo@3b9f84f:mmdisco/models/residual_predictor/vit.py
(VisionTransformerND) and mm_block.py (VAVitBlocks).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.errors import UsageError
from mmbench.mmdisco.kernels.attention import attend


class Attention(nn.Module):
    """Self-attention under the names of `nn.MultiheadAttention`, which has no second gradient."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.num_heads = num_heads
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = F.linear(tokens, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        return self.out_proj(attend(q, k, v, self.num_heads))


class FeedForward(nn.Module):
    """Two layers with CLIP's approximation of GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.c_fc(tokens)
        return self.c_proj(hidden * torch.sigmoid(1.702 * hidden))


class Block(nn.Module):
    """Pre-norm attention and feed-forward, (b, n, width) to (b, n, width)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attn = Attention(width, num_heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = FeedForward(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.ln_1(tokens))
        return tokens + self.mlp(self.ln_2(tokens))


class VisionTransformer(nn.Module):
    """(b, c, *size) to (b, size[0] // patch[0], out): tokens [class, time, patches], pooled over space, kept per time.

    Args:
        in_channels: c.
        size: (samples,), (t, m) or (f, h, w); time comes first.
        patch: Patch size along the same axes.
        embed_channels: Width of the timestep (and text) embedding.
        width: Width of the tokens.
        depth: Number of blocks.
        num_heads: Attention heads.
        out_channels: Width of the features.
    """

    def __init__(
        self,
        in_channels: int,
        size: Sequence[int],
        patch: Sequence[int],
        embed_channels: int,
        width: int,
        depth: int,
        num_heads: int,
        out_channels: int,
    ) -> None:
        super().__init__()
        grid = [n // p for n, p in zip(size, patch, strict=True)]
        scale = width**-0.5
        conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(patch)]
        self.conv1 = conv(in_channels, width, tuple(patch), stride=tuple(patch), bias=False)  # type: ignore[arg-type]
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.time_embed_in = nn.Linear(embed_channels, width)
        spatial = scale * torch.randn(prod(grid[1:]), width)  # the same at every time to begin with
        self.positional_embedding = nn.Parameter(torch.cat([scale * torch.randn(2, width), spatial.repeat(grid[0], 1)]))
        self.ln_pre = nn.LayerNorm(width)
        blocks = [Block(width, num_heads) for _ in range(depth)]
        self.transformer = nn.ModuleDict({"resblocks": nn.Sequential(*blocks)})
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(scale * torch.randn(width, out_channels))
        self.size, self.patch = tuple(size), tuple(patch)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        if tuple(x.shape[2:]) != self.size:
            raise UsageError(f"The input is {tuple(x.shape[2:])}.", f"{self.size}, for which this ViT was built")
        tokens = self.patches(x)
        steps = self.size[0] // self.patch[0]
        class_token = self.class_embedding.expand(len(tokens), 1, -1)
        tokens = torch.cat([class_token, self.time_embed_in(embedding)[:, None], tokens], dim=1)
        tokens = self.transformer["resblocks"](self.ln_pre(tokens + self.positional_embedding))
        features = self.ln_post(tokens[:, 2:]).unflatten(1, (steps, -1)).mean(2)
        return features @ self.proj

    def patches(self, x: Tensor) -> Tensor:
        """(b, c, *size) to (b, n, width): a convolution whose windows do not overlap is a matrix product."""
        grid = [n // p for n, p in zip(self.size, self.patch, strict=True)]
        for axis, (count, p) in enumerate(zip(grid, self.patch, strict=True)):
            x = x.narrow(2 + 2 * axis, 0, count * p).unflatten(2 + 2 * axis, (count, p))
        d = len(grid)
        x = x.permute(0, *range(2, 2 + 2 * d, 2), 1, *range(3, 3 + 2 * d, 2))  # b, counts, c, patch
        return F.linear(x.reshape(len(x), prod(grid), -1), self.conv1.weight.flatten(1))


class TransformerExtractor(nn.Module):
    """One vision transformer per modality."""

    def __init__(self, video: VisionTransformer, audio: VisionTransformer) -> None:
        super().__init__()
        self.audio_extractor = audio
        self.video_extractor = video
        self.out_channels = video.proj.shape[1]

    def forward(self, video: Tensor, audio: Tensor, embeddings: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Video (b, c, f, h, w), audio (b, c, l) or (b, c, t, m), embeddings (b, e) to (b, time, d) twice."""
        return self.video_extractor(video, embeddings[0]), self.audio_extractor(audio, embeddings[1])
