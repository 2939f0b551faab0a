"""What the towers and the head of Synchformer share: attention, transformer layers, a layer that sums tokens up."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head attention without masks, (n, queries, width) over (n, keys, width): (n, queries, width)."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Summary(nn.TransformerEncoderLayer):
    """A token of its own reads a sequence through one pre-norm layer, GELU, and stands for it.

    Args:
        width: Channels.
        heads: Heads.
        hidden: Channels of the feed-forward part.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        options = {"dropout": 0.0, "activation": F.gelu, "layer_norm_eps": 1e-6}
        super().__init__(width, heads, hidden, batch_first=True, norm_first=True, **options)  # type: ignore[arg-type]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Map (n, length, width) to (n, width); only the new token's output is computed."""
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        y = self.norm1(x)
        token = x[:, :1] + self.self_attn(y[:, :1], y, y, need_weights=False)[0]
        return (token + self.linear2(F.gelu(self.linear1(self.norm2(token)))))[:, 0]


class QueryKeyValue(nn.Module):
    """Self-attention with a projection each for queries, keys and values; the one after it is the owner's."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return attend(self.query(x), self.key(x), self.value(x), self.heads)
