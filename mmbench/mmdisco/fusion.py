"""Fuses the features of both modalities into one vector: by a mean ("mlp") or a transformer ("naive", "frieren").

Parameter names and arithmetic of SonyResearch/MMDisCo@3b9f84f:mmdisco/models/residual_predictor/mm_block.py
(FusionModel) and x_formers.py (TransformerWrapperNoTokenEmb).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.errors import UsageError
from mmbench.mmdisco.kernels.attention import attend

NUM_HEADS, HEAD_CHANNELS = 8, 64  # whatever the width of the tokens


class MeanFusion(nn.Module):
    """Mean over time of either modality, side by side. It has no parameters: the "MLP" is the last linear layer.

    So h = f(video) + g(audio): its gradient moves each modality towards the data, given the text, and knows nothing of
    the other one. Only the transformers see which halves belong together.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = 2 * in_channels

    def forward(self, video: Tensor, audio: Tensor, time: Tensor) -> Tensor:
        """(b, f, d), (b, l, d) and the unused embedding (b, e) to (b, 2 d)."""
        return torch.cat([video.mean(1), audio.mean(1)], dim=1)


class Attention(nn.Module):
    """Attention of `tokens` to `context`, 8 heads of 64."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = NUM_HEADS * HEAD_CHANNELS
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_k = nn.Linear(width, inner, bias=False)
        self.to_v = nn.Linear(width, inner, bias=False)
        self.to_out = nn.Linear(inner, width)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        return self.to_out(attend(self.to_q(tokens), self.to_k(context), self.to_v(context), NUM_HEADS))


class FeedForward(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU())
        self.net = nn.ModuleDict({"0": first, "2": nn.Linear(4 * width, width)})

    def forward(self, tokens: Tensor) -> Tensor:
        return self.net["2"](self.net["0"](tokens))


class Positions(nn.Module):
    """One learned vector per position."""

    def __init__(self, max_tokens: int, width: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(max_tokens, width)
        nn.init.normal_(self.emb.weight, std=0.02)


class Transformer(nn.Module):
    """Pre-norm transformer on (b, n, width) to (b, out). With a class token it has one layer more than `num_layers`."""

    def __init__(self, width: int, num_layers: int, out_channels: int, max_tokens: int, class_token: bool) -> None:
        super().__init__()
        self.cls_emb = nn.Parameter(width**-0.5 * torch.randn(1, 1, width)) if class_token else None
        self.pos_emb = Positions(max_tokens, width)
        layers = [kind(width) for _ in range(num_layers + class_token) for kind in (Attention, FeedForward)]
        normed = nn.ModuleList(nn.ModuleList([nn.LayerNorm(width), layer]) for layer in layers)
        self.attn_layers = nn.ModuleDict({"layers": normed})
        self.norm = nn.LayerNorm(width)
        self.out_layer = nn.Linear(width, out_channels)

    def forward(self, tokens: Tensor) -> Tensor:
        if self.cls_emb is not None:
            tokens = torch.cat([self.cls_emb.expand(len(tokens), -1, -1), tokens], dim=1)
        (_, n, _), positions = tokens.shape, self.pos_emb.emb.weight
        if n > len(positions):
            raise UsageError(
                f"The fusion transformer gets {n} tokens; it has {len(positions)} positions.",
                "shorter inputs, or a discriminator with more positions",
                f"max_tokens={n}",
            )
        tokens = tokens + positions[:n]
        layers = [tuple(cast(nn.ModuleList, pair)) for pair in cast(nn.ModuleList, self.attn_layers["layers"])]
        for k, ((norm, attention), (norm_2, feedforward)) in enumerate(zip(layers[::2], layers[1::2], strict=True)):
            query = context = norm(tokens)
            if self.cls_emb is not None and 2 * k == len(layers) - 2:  # of the last layer, only the class token is read
                tokens, query = tokens[:, :1], context[:, :1]
            tokens = tokens + attention(query, context)
            tokens = tokens + feedforward(norm_2(tokens))
        tokens = self.norm(tokens)
        return self.out_layer(tokens[:, 0] if self.cls_emb is not None else tokens.mean(1))


class TransformerFusion(nn.Module):
    """Tokens [time, video ..., audio ...] ("naive"), or [time, (video, audio) ...] at equal length ("frieren").

    Frieren's form repeats the shorter modality to the length of the longer and puts both side by side, half the width
    each.
    """

    def __init__(
        self,
        in_channels: int,
        embed_channels: int,
        width: int,
        num_layers: int,
        out_channels: int,
        max_tokens: int,
        class_token: bool,
        side_by_side: bool,
    ) -> None:
        super().__init__()
        part = width // 2 if side_by_side else width
        self.fm_video_in = nn.Linear(in_channels, part)
        self.fm_audio_in = nn.Linear(in_channels, part)
        self.fm_time_in = nn.Linear(embed_channels, width)
        self.fm = Transformer(width, num_layers, out_channels, max_tokens, class_token)
        self.side_by_side, self.out_channels = side_by_side, out_channels

    def forward(self, video: Tensor, audio: Tensor, time: Tensor) -> Tensor:
        """(b, f, d), (b, l, d) and the timestep embedding (b, e) to (b, out)."""
        streams = [self.fm_video_in(video), self.fm_audio_in(audio)]
        if self.side_by_side:
            length = max(video.shape[1], audio.shape[1])
            stretched = [F.interpolate(x.transpose(1, 2), length).transpose(1, 2) for x in streams]
            streams = [torch.cat(stretched, dim=2)]
        return self.fm(torch.cat([self.fm_time_in(time)[:, None], *streams], dim=1))
