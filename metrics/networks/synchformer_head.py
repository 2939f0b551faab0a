"""The head of Synchformer: by how much does sound lag picture, of 21 answers?

Own writing of hkchengrex/av-benchmark@050a5cd:av_bench/synchformer/{synchformer,transformer}.py (arXiv 2401.16423)
under the key names of the published checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmbench.metrics.networks.synchformer_layers import QueryKeyValue
from mmbench.metrics.networks.synchformer_segments import SEGMENTS


@dataclass(frozen=True)
class HeadConfig:
    """Sizes of the head; the defaults are those of the published model.

    Attributes:
        width, depth, heads: Of the transformer.
        tokens: Length of its sequence: two tokens of its own, and 14 segments of 8 steps of video and 6 of sound.
        classes: Offsets told apart.
    """

    width: int = 768
    depth: int = 3
    heads: int = 8
    tokens: int = 2 + SEGMENTS * (8 + 6)
    classes: int = 21


class ProjectedAttention(QueryKeyValue):
    """Self-attention and the projection after it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(super().forward(x))


class HeadBlock(nn.Module):
    """Pre-norm block in which every token sees every other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = ProjectedAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class PositionTable(nn.Module):
    """Learned positions, added."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.zeros(1, tokens, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pos_emb


class OffsetTransformer(nn.Module):
    """One token reads those of video and of sound, and names the offset."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width = config.width
        self.OFF_tok, self.MOD_tok = (nn.Parameter(torch.zeros(1, 1, width)) for _ in range(2))
        self.vis_in_lnorm, self.aud_in_lnorm, self.ln_f = (nn.LayerNorm(width) for _ in range(3))
        self.pos_emb_cfg = PositionTable(config.tokens, width)
        self.blocks = nn.Sequential(*(HeadBlock(width, config.heads) for _ in range(config.depth)))
        self.off_head = nn.Linear(width, config.classes)

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        offset, between = (token.expand(len(video), -1, -1) for token in (self.OFF_tok, self.MOD_tok))
        x = torch.cat([offset, self.vis_in_lnorm(video), between, self.aud_in_lnorm(audio)], dim=1)
        return self.off_head(self.ln_f(self.blocks(self.pos_emb_cfg(x))[:, 0]))


class SyncHead(nn.Module):
    """Features of 14 segments of video and of sound to logits of offsets.

    Args:
        config: Sizes.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.vproj, self.aproj = nn.Linear(config.width, config.width), nn.Linear(config.width, config.width)
        self.transformer = OffsetTransformer(config)
        self.eval()

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """Map (n, 14, 8, 768) and (n, 14, 6, 768) to (n, 21) logits of the offsets -2, -1.8, ... 2 s."""
        return self.transformer(self.vproj(video.flatten(1, 2)), self.aproj(audio.flatten(1, 2)))
