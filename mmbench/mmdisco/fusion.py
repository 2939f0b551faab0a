"""Fuses the features of both modalities into one vector: by a mean ("mlp") or a transformer ("naive", "frieren").

Parameter names and arithmetic of SonyResearch/MMDisCo@3b9f84f:mmdisco/models/residual_predictor/mm_block.py
(FusionModel) and x_formers.py (TransformerWrapperNoTokenEmb).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
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


@lru_cache(maxsize=16)
def covering(starts: tuple[float, ...], num_steps: int) -> tuple[list[int], list[int]]:
    """Which frame and which audio step covers each step of the longer modality at the time when it begins.

    Of frames that begin at even times and fill the same time as the audio, this is what nearest interpolation picks.

    Args:
        starts: When each frame begins, from 0 and rising; in audio steps.
        num_steps: Audio steps; the last one also stands for whatever follows it.

    Returns:
        Places among the frames and among the audio steps, as many as there are of the longer.
    """
    if len(starts) > num_steps:
        return list(range(len(starts))), [min(int(start), num_steps - 1) for start in starts]
    return [bisect_right(starts, step) - 1 for step in range(num_steps)], list(range(num_steps))


class TransformerFusion(nn.Module):
    """Tokens [time, video ..., audio ...] ("naive"), or [time, (video, audio) ...] at equal length ("frieren").

    Frieren's form repeats the shorter modality to the length of the longer and puts both side by side, half the width
    each.

    Args:
        in_channels: d, the width of the features.
        embed_channels: Width of the timestep embedding.
        width: Width of the tokens.
        num_layers: Of the transformer; the class token adds one.
        out_channels: Width of the result.
        max_tokens: Positions of the transformer.
        class_token: Read a class token instead of the mean over tokens.
        side_by_side: Frieren's form.
        video_starts: When each of the video's features begins, in steps of the audio's features; frieren only. None:
            the features of either half are evenly spaced over the same time.
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
        video_starts: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        part = width // 2 if side_by_side else width
        self.fm_video_in = nn.Linear(in_channels, part)
        self.fm_audio_in = nn.Linear(in_channels, part)
        self.fm_time_in = nn.Linear(embed_channels, width)
        self.fm = Transformer(width, num_layers, out_channels, max_tokens, class_token)
        self.side_by_side, self.out_channels = side_by_side, out_channels
        self.video_starts = None if video_starts is None else tuple(video_starts)

    def forward(self, video: Tensor, audio: Tensor, time: Tensor) -> Tensor:
        """(b, f, d), (b, l, d) and the timestep embedding (b, e) to (b, out)."""
        streams = [self.fm_video_in(video), self.fm_audio_in(audio)]
        if self.side_by_side:
            streams = [torch.cat(self.stretch(*streams), dim=2)]
        return self.fm(torch.cat([self.fm_time_in(time)[:, None], *streams], dim=1))

    def stretch(self, video: Tensor, audio: Tensor) -> list[Tensor]:
        """(b, f, d) and (b, l, d) both repeated to (b, max(f, l), d).

        Raises:
            UsageError: As many frames as `video_starts` were expected, and there are others.
        """
        streams = [video, audio]
        if self.video_starts is None:
            length = max(video.shape[1], audio.shape[1])
            return [F.interpolate(x.transpose(1, 2), length).transpose(1, 2) for x in streams]
        if len(self.video_starts) != video.shape[1]:
            raise UsageError(
                f"The discriminator got {video.shape[1]} features of a video.",
                f"{len(self.video_starts)}, one for each of its video_times",
            )
        places = covering(self.video_starts, audio.shape[1])
        return [x[:, torch.tensor(place, device=x.device)] for x, place in zip(streams, places, strict=True)]
