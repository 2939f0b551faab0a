"""The transformer of ImageBind's towers, under the key names of the published checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TowerConfig:
    """Size of one transformer."""

    width: int
    depth: int
    heads: int


class Attention(nn.Module):
    """Multi-head self-attention under the key names of torch.nn.MultiheadAttention.

    Args:
        width: Channels.
        heads: Heads.
        bias_kv: Append a learned key and value to the sequence, as the audio tower does.
    """

    def __init__(self, width: int, heads: int, bias_kv: bool) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.bias_k = nn.Parameter(torch.zeros(1, 1, width)) if bias_kv else None
        self.bias_v = nn.Parameter(torch.zeros(1, 1, width)) if bias_kv else None
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool, queries: int | None = None) -> Tensor:
        """Map (n, length, width) to (n, queries, width): what the first tokens, by default all, see."""
        width = x.shape[-1]
        q = F.linear(x[:, :queries], self.in_proj_weight[:width], self.in_proj_bias[:width])
        k, v = F.linear(x, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(2, dim=-1)
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(len(x), 1, -1)], dim=1)
            v = torch.cat([v, self.bias_v.expand(len(x), 1, -1)], dim=1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(y.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, bias_kv: bool) -> None:
        super().__init__()
        self.attn = Attention(width, heads, bias_kv)
        self.norm_1 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width)
        self.norm_2 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor, causal: bool, queries: int | None = None) -> Tensor:
        x = x[:, :queries] + self.attn(self.norm_1(x), causal, queries)
        return x + self.mlp(self.norm_2(x))


class Trunk(nn.Module):
    """A stack of blocks, causal for text; vision normalises its input first."""

    def __init__(
        self, config: TowerConfig, *, pre_norm: bool = False, bias_kv: bool = False, causal: bool = False
    ) -> None:
        super().__init__()
        self.causal = causal
        norms = [nn.LayerNorm(config.width, eps=1e-6)] if pre_norm else []
        self.pre_transformer_layer = nn.Sequential(*norms)
        self.blocks = nn.ModuleList(Block(config.width, config.heads, bias_kv) for _ in range(config.depth))

    def forward(self, x: Tensor, queries: int | None = None) -> Tensor:
        """Map (n, length, width) to (n, queries, width); the last block computes no other token."""
        x = self.pre_transformer_layer(x)
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, self.causal, queries if number == len(self.blocks) else None)
        return x
