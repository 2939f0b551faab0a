"""Attention that can be differentiated twice, with the fused kernel wherever it need not be."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(query: Tensor, key: Tensor, value: Tensor, num_heads: int) -> Tensor:
    """softmax(q k^T / sqrt(d)) v per head: (b, n, heads d), (b, m, heads d) twice, to (b, n, heads d)."""
    query, key, value = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (query, key, value))
    return _Attention.apply(query, key, value).transpose(1, 2).flatten(2)


class _Attention(torch.autograd.Function):
    """The fused kernels have a first gradient only; theirs is taken unless a graph of the gradient is asked for."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(q, k, v)
        return F.scaled_dot_product_attention(q, k, v)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        q, k, v = ctx.saved_tensors
        if not torch.is_grad_enabled():
            with torch.enable_grad():
                leaves = [x.detach().requires_grad_() for x in (q, k, v)]
                return torch.autograd.grad(F.scaled_dot_product_attention(*leaves), leaves, grad)
        scale = q.shape[-1] ** -0.5
        p = torch.softmax(q @ k.transpose(-1, -2) * scale, dim=-1)
        by_p = grad @ v.transpose(-1, -2)
        by_logits = p * (by_p - (by_p * p).sum(-1, keepdim=True)) * scale
        return by_logits @ k, by_logits.transpose(-1, -2) @ q, p.transpose(-1, -2) @ grad
