"""The convolutional feature extractor: residual blocks on video and audio side by side ("Res").

Parameter names and arithmetic of SonyResearch/MMDisCo@3b9f84f:mmdisco/models/residual_predictor/mm_block.py
(VAResidualBlocks, ResBlock, InitialBlock), itself after MM-Diffusion's coupled U-Net. Activations are channels-last
rows throughout: video (b, f, h, w, c), audio (b, t, m, c) with m = 1 for raw waveforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.mmdisco.kernels.convolution import Geometry, convolve
from mmbench.mmdisco.kernels.normalization import NUM_GROUPS, normalize_modulate_silu

Pair = tuple[Tensor, Tensor]  # of video and audio: rows (b, f, h, w, c) and (b, t, m, c), or embeddings (b, e)
KINDS = ("video", "audio")
PARTS = ("in_layers.0", "in_layers.2", "skip_connection", "out_layers.0", "out_layers.3")
Window = tuple[int, int]
POOL: dict[str, Window] = {"video": (2, 2), "waveform": (4, 1), "latent": (1, 2)}  # over (h, w), (t, 1), (t, m)
NO_POOLS: tuple[Window, Window] = (1, 1), (1, 1)


def average(rows: Tensor, pool: Window) -> Tensor:
    """Mean of (..., h, w, c) rows over windows of `pool`, incomplete ones dropped."""
    if pool == (1, 1):
        return rows
    pooled = F.avg_pool2d(rows.flatten(0, -4).permute(0, 3, 1, 2), pool).permute(0, 2, 3, 1)
    return pooled.reshape(*rows.shape[:-3], *pooled.shape[1:])


def pooled_kernel(weight: Tensor, dilation: Window, pool: Window) -> Tensor:
    """The kernel whose convolution with stride `pool` is that of `weight`, dilated, then averaged over `pool`.

    (o, i, kh, kw) to (o, i, dh (kh - 1) + ph, dw (kw - 1) + pw).
    """
    (o, i, kh, kw), (dh, dw), (ph, pw) = weight.shape, dilation, pool
    height, width = dh * (kh - 1) + 1, dw * (kw - 1) + 1
    wide = weight.new_zeros(o, i, height + ph - 1, width + pw - 1)
    for y in range(ph):
        for x in range(pw):
            wide[:, :, y : y + height : dh, x : x + width : dw] += weight / (ph * pw)
    return wide


def convolve_same(
    rows: Tensor, conv: nn.Conv1d | nn.Conv2d, dilation: Window = (1, 1), pool: Window = (1, 1)
) -> Tensor:
    """(n, h, w, i) rows convolved to the same size, then averaged over windows of `pool`.

    Both steps are linear, so where there is a pool they are one convolution with a stride, at 1/4 to 2/3 of the cost:
    along an axis whose taps are whole windows apart the average comes first, along others it joins the kernel.
    """
    weight = conv.weight if conv.weight.ndim == 4 else conv.weight.unsqueeze(-1)
    (h, w), size = rows.shape[1:3], weight.shape[2:]
    first_h, first_w = (p if d > 1 and d % p == 0 else 1 for d, p in zip(dilation, pool, strict=True))
    if (first_h, first_w) != (1, 1):
        rows = average(F.pad(rows, (0, 0, 0, -w % first_w, 0, -h % first_h)), (first_h, first_w))
    stride = (pool[0] // first_h, pool[1] // first_w)
    dilation = (dilation[0] // first_h, dilation[1] // first_w)
    padding = (dilation[0] * (size[0] // 2), dilation[1] * (size[1] // 2))
    joined = (dilation[0] if stride[0] > 1 else 1, dilation[1] if stride[1] > 1 else 1)
    if stride != (1, 1):
        weight = pooled_kernel(weight, joined, stride)
    geometry = Geometry(stride, padding, (dilation[0] // joined[0], dilation[1] // joined[1]))
    return convolve(rows, weight, conv.bias, geometry)[:, : h // pool[0], : w // pool[1]]


class VideoConv(nn.Module):
    """3x3 in space, then 3 in time. The pool is over space, so it commutes with the step in time and goes before it."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.video_conv_spatial = nn.Conv2d(in_channels, out_channels, 3)
        self.video_conv_temporal = nn.Conv1d(out_channels, out_channels, 3)

    def forward(self, rows: Tensor, pool: Window) -> Tensor:
        b, f = rows.shape[:2]
        rows = convolve_same(rows.flatten(0, 1), self.video_conv_spatial, pool=pool)
        _, h, w, c = rows.shape
        return convolve_same(rows.reshape(b, f, h * w, c), self.video_conv_temporal).reshape(b, f, h, w, c)


class AudioConv(nn.Module):
    """3 in time (waveform), or 3x3 in time and mel (latent), dilated along every axis."""

    def __init__(self, in_channels: int, out_channels: int, ndim: int, dilation: int = 1) -> None:
        super().__init__()
        kind: type[nn.Conv1d | nn.Conv2d] = nn.Conv1d if ndim == 1 else nn.Conv2d
        self.audio_conv = kind(in_channels, out_channels, 3)
        self.dilation = (dilation, 1 if ndim == 1 else dilation)

    def forward(self, rows: Tensor, pool: Window) -> Tensor:
        return convolve_same(rows, self.audio_conv, self.dilation, pool)


class Pointwise(nn.Module):
    """A 1x1 convolution, on rows a matrix product; `name` is that of the official child."""

    def __init__(self, name: str, in_channels: int, out_channels: int, ndim: int) -> None:
        super().__init__()
        kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[ndim]
        self.add_module(name, kind(in_channels, out_channels, 1))

    def forward(self, rows: Tensor) -> Tensor:
        weight, bias = self.parameters()
        return F.linear(rows, weight.flatten(1), bias)


class Norm(nn.Module):
    """GroupNorm and SiLU, the former under the official extra level of its name."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.GroupNorm = nn.GroupNorm(NUM_GROUPS, channels)

    def forward(self, rows: Tensor) -> Tensor:
        return normalize_modulate_silu(rows, self.GroupNorm.weight, self.GroupNorm.bias)


class ModulatedNorm(nn.Module):
    """GroupNorm without parameters, scale and shift from the timestep (and text) embedding, and SiLU."""

    def __init__(self, embed_channels: int, channels: int) -> None:
        super().__init__()
        self.projection = nn.Sequential(nn.SiLU(), nn.Linear(embed_channels, 2 * channels))

    def forward(self, rows: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.projection(embedding).chunk(2, dim=1)
        return normalize_modulate_silu(rows, 1 + scale, shift)


class InitialBlock(nn.Module):
    """From pixels or latents to the first features."""

    def __init__(self, video_channels: int, audio_channels: int, out_channels: int, audio_ndim: int) -> None:
        super().__init__()
        self.video_conv = VideoConv(video_channels, out_channels)
        self.audio_conv = AudioConv(audio_channels, out_channels, audio_ndim)

    def forward(self, video: Tensor, audio: Tensor) -> Pair:
        return self.video_conv(video, (1, 1)), self.audio_conv(audio, (1, 1))


class ResBlock(nn.Module):
    """norm, SiLU, conv, [pool], modulated norm, SiLU, zero-initialised 1x1, on top of a skip; per modality."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embed_channels: int,
        audio_ndim: int,
        dilation: int,
        pools: tuple[Window, Window],
    ) -> None:
        super().__init__()
        convs = {
            "video": VideoConv(in_channels, out_channels),
            "audio": AudioConv(in_channels, out_channels, audio_ndim, dilation),
        }
        for kind, ndim in (("video", 3), ("audio", audio_ndim)):
            modulated = ModulatedNorm(embed_channels, out_channels)
            last = Pointwise(f"{kind}_conv", out_channels, out_channels, ndim)
            for parameter in last.parameters():
                nn.init.zeros_(parameter)
            skip = Pointwise(f"{kind}_conv", in_channels, out_channels, ndim) if in_channels != out_channels else None
            self.add_module(f"{kind}_in_layers", nn.ModuleDict({"0": Norm(in_channels), "2": convs[kind]}))
            self.add_module(f"{kind}_out_layers", nn.ModuleDict({"0": modulated, "3": last}))
            self.add_module(f"{kind}_skip_connection", skip or nn.Identity())
        self.pools = pools

    def forward(self, rows: Pair, embeddings: Pair) -> Pair:
        """Rows of video and audio, and their embeddings (b, e), to rows."""
        out = []
        for kind, x, embedding, pool in zip(KINDS, rows, embeddings, self.pools, strict=True):
            norm, conv, skip, modulated, last = (self.get_submodule(f"{kind}_{name}") for name in PARTS)
            out.append(skip(average(x, pool)) + last(modulated(conv(norm(x), pool), embedding)))
        video, audio = out
        return video, audio


class ResidualExtractor(nn.Module):
    """Per level, `num_blocks` residual blocks, and between levels one that halves space (and time or mel of audio).

    Args:
        video_channels: Channels of the input video.
        audio_channels: Channels of the input audio.
        audio_ndim: 1 for waveforms and latents of them, pooled in time; 2 for latents of spectra, pooled by 2 in mel.
        channels: C, width of the first level where `channel_mult` starts with 1.
        embed_channels: Width of the timestep (and text) embedding.
        num_blocks: L.
        channel_mult: Width of each level over C.
        dilation_cycle: The k-th residual block's audio is dilated by 2^(k mod cycle), k = 1, 2, ...
        audio_pool: Steps of 1-D audio that are averaged between levels; 1 for none.
    """

    def __init__(
        self,
        video_channels: int,
        audio_channels: int,
        audio_ndim: int,
        channels: int,
        embed_channels: int,
        num_blocks: int,
        channel_mult: Sequence[int],
        dilation_cycle: int,
        audio_pool: int,
    ) -> None:
        super().__init__()
        width = channel_mult[0] * channels
        pools: tuple[Window, Window] = (POOL["video"], (audio_pool, 1) if audio_ndim == 1 else POOL["latent"])
        blocks: list[nn.Module] = [InitialBlock(video_channels, audio_channels, width, audio_ndim)]
        for level, mult in enumerate(channel_mult):
            between = level < len(channel_mult) - 1
            for down in [False] * num_blocks + [True] * between:
                out_channels = width if down else mult * channels
                dilation = 2 ** (len(blocks) % dilation_cycle)
                windows = pools if down else NO_POOLS
                blocks.append(ResBlock(width, out_channels, embed_channels, audio_ndim, dilation, windows))
                width = out_channels
        self.input_blocks = nn.ModuleList(nn.ModuleList([block]) for block in blocks)
        self.out_channels = width

    def forward(self, video: Tensor, audio: Tensor, embeddings: Pair) -> Pair:
        """Video (b, c, f, h, w), audio (b, c, l) or (b, c, t, m), embeddings (b, e) to (b, time, d) twice."""
        latent = audio if audio.ndim == 4 else audio.unsqueeze(-1)
        rows = video.permute(0, 2, 3, 4, 1).contiguous(), latent.permute(0, 2, 3, 1).contiguous()
        initial, *rest = (cast(ResBlock, cast(nn.ModuleList, block)[0]) for block in self.input_blocks)
        rows = initial(*rows)
        for block in rest:
            rows = block(rows, embeddings)
        return rows[0].mean((2, 3)), rows[1].mean(2)
