"""SpecVQGAN's transformer (arXiv 2110.08791): codes of a spectrogram, one after the other, from features of its video.

Facts and names: v-iashin/SpecVQGAN@33c601d:specvqgan/modules/transformer/mingpt.py (GPTFeats) and
specvqgan/models/cond_transformer.py (sample). Keys and values of earlier tokens are kept, so that a code costs one
token's arithmetic; asking for the whole sequence at once gives the same logits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

Choose = Callable[[Tensor, int], Tensor]  # logits (n, vocab) and the number of the code -> codes (n,)


class Cache:
    """Keys and values of the tokens so far, of every block: (blocks, n, heads, block_size, channels) each."""

    def __init__(self, shape: tuple[int, ...], like: Tensor) -> None:
        self.length = 0
        self.keys, self.values = like.new_empty(shape), like.new_empty(shape)

    def extend(self, block: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep those of new tokens, (n, heads, new, channels) each, and return all of `block` up to them."""
        end = self.length + k.shape[2]
        self.keys[block, :, :, self.length : end] = k
        self.values[block, :, :, self.length : end] = v
        return self.keys[block, :, :, :end], self.values[block, :, :, :end]


class CausalSelfAttention(nn.Module):
    """Attention of a token to itself and those before it."""

    mask: Tensor

    def __init__(self, channels: int, heads: int, block_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.key, self.query, self.value, self.proj = (nn.Linear(channels, channels) for _ in range(4))
        self.register_buffer("mask", torch.tril(torch.ones(1, 1, block_size, block_size)))

    def split(self, x: Tensor) -> Tensor:
        """(n, t, channels) to (n, heads, t, channels / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def attention(self, q: Tensor, k: Tensor) -> Tensor:
        """(n, heads, new, all) weights of the last `new` of `all` tokens; each row sums to one."""
        new, every = q.shape[2], k.shape[2]
        score = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        if new > 1:  # the last token sees all
            score = score.masked_fill(self.mask[:, :, every - new : every, :every] == 0, float("-inf"))
        return score.softmax(-1)

    def forward(self, x: Tensor, block: int, cache: Cache | None) -> Tensor:
        q, k, v = (self.split(project(x)) for project in (self.query, self.key, self.value))
        if cache is not None:
            k, v = cache.extend(block, k, v)
        return self.proj((self.attention(q, k) @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then two linear layers with GELU; both behind a layer norm and with a skip connection."""

    def __init__(self, channels: int, heads: int, block_size: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attn = CausalSelfAttention(channels, heads, block_size)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor, block: int, cache: Cache | None) -> Tensor:
        x = x + self.attn(self.ln1(x), block, cache)
        return x + self.mlp(self.ln2(x))


class GPTFeats(nn.Module):
    """minGPT over feature tokens, then codes; tensors have the official names and the arguments, too."""

    def __init__(
        self, feat_depth: int, vocab_size: int, block_size: int, n_layer: int, n_head: int, n_embd: int
    ) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, n_embd)
        self.pos_emb = nn.Parameter(torch.zeros(1, block_size, n_embd))
        self.blocks = nn.ModuleList(Block(n_embd, n_head, block_size) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, vocab_size, bias=False)
        self.embedder = nn.Conv1d(feat_depth, n_embd, 1)
        self.heads = n_head

    def cache(self, n: int) -> Cache:
        """An empty one for n samples."""
        _, block_size, channels = self.pos_emb.shape
        return Cache((len(self.blocks), n, self.heads, block_size, channels // self.heads), self.pos_emb)

    def forward(self, codes: Tensor, feats: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """Logits of the code that follows each of the given tokens.

        Args:
            codes: (n, t) integers.
            feats: (n, feat_depth, columns), put before the codes; None where the cache has them.
            cache: What was given before; extended by what is given now.

        Returns:
            (n, columns + t, vocab_size).
        """
        x = self.tok_emb(codes)
        if feats is not None:
            x = torch.cat([self.embedder(feats).mT, x], dim=1)
        start = cache.length if cache is not None else 0
        x = x + self.pos_emb[:, start : start + x.shape[1]]
        for k, block in enumerate(self.blocks):
            x = block(x, k, cache)
        if cache is not None:
            cache.length += x.shape[1]
        return self.head(self.ln_f(x))


def generate_codes(gpt: GPTFeats, feats: Tensor, num: int, choose: Choose) -> Tensor:
    """(n, num) codes for features (n, feat_depth, columns), one after the other, each by `choose` from its logits."""
    cache, made = gpt.cache(len(feats)), [feats.new_zeros((len(feats), 0), dtype=torch.long)]
    for k in range(num):
        logits = gpt(made[-1], None if k else feats.to(gpt.pos_emb.dtype), cache)[:, -1]
        made.append(choose(logits, k)[:, None].to(feats.device))
    return torch.cat(made, dim=1)


def top_k_probabilities(logits: Tensor, top_k: int, temperature: float) -> Tensor:
    """Softmax of (n, vocab) logits over temperature, zero but for the `top_k` largest and those equal to the last."""
    scaled = logits / temperature
    least = scaled.topk(min(top_k, scaled.shape[-1])).values[:, -1:]
    return scaled.masked_fill(scaled < least, float("-inf")).softmax(-1)


def sampler(uniforms: np.ndarray, top_k: int, temperature: float) -> Choose:
    """Draws codes by the inverse distribution function, in float64 on the CPU.

    Args:
        uniforms: (n, codes) float64 in [0, 1), every sample's own numbers.
        top_k: Codes that can be drawn.
        temperature: Divides the logits.
    """

    def choose(logits: Tensor, k: int) -> Tensor:
        cumulated = top_k_probabilities(logits.double().cpu(), top_k, temperature).cumsum(-1)
        goal = torch.from_numpy(uniforms[:, k : k + 1]) * cumulated[:, -1:]
        return torch.searchsorted(cumulated, goal, right=True)[:, 0]

    return choose
