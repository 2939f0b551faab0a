"""Parts of MM-Diffusion's coupled U-Net (arXiv 2212.09478): residual blocks on both modalities, and attention.

Parameter names and arithmetic of researchmm/MM-Diffusion@7250222:mm_diffusion/multimodal_unet.py (ResBlock,
SingleModalAtten, CrossAttentionBlock). Activations are channels-last rows: video (b, f, h, w, c), audio (b, t, 1, c).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.mmdisco.kernels.attention import attend
from mmbench.mmdisco.kernels.normalization import EPS, NUM_GROUPS, normalize_modulate_silu
from mmbench.mmdisco.residual import POOL, AudioConv, Norm, Pair, Pointwise, VideoConv, Window, average

POOLS: tuple[Window, Window] = (POOL["video"], POOL["waveform"])


def repeat(rows: Tensor, pool: Window) -> Tensor:
    """Every element of (..., h, w, c) rows pool[0] times along h and pool[1] times along w: `average` undone."""
    return rows.repeat_interleave(pool[0], -3).repeat_interleave(pool[1], -2)


def project(rows: Tensor, conv: nn.Conv1d) -> Tensor:
    """A convolution of kernel 1 on rows (..., c)."""
    return F.linear(rows, conv.weight.flatten(1), conv.bias)


class PlainNorm(nn.Module):
    """GroupNorm of (n, l, c) rows over l, without SiLU, under the official extra level of its name."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.GroupNorm = nn.GroupNorm(NUM_GROUPS, channels, EPS)

    def forward(self, rows: Tensor) -> Tensor:
        normed: Tensor = self.GroupNorm(rows.transpose(1, 2).unsqueeze(-1))  # channels_last as (n, c, l, 1): no copy
        return normed.squeeze(-1).transpose(1, 2)


class ModulatedNorm(Norm):
    """GroupNorm with its own weights, then scale and shift (b, c) of the timestep, and SiLU."""

    def forward(self, rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:  # type: ignore[override]
        weight, bias = self.GroupNorm.weight, self.GroupNorm.bias
        return normalize_modulate_silu(rows, weight * (1 + scale), bias * (1 + scale) + shift)


class SelfAttention(nn.Module):
    """Every row of (n, l, c) attends to the l rows of its own sequence; added to the input."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = PlainNorm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, rows: Tensor) -> Tensor:
        query, key, value = project(self.norm(rows), self.qkv).chunk(3, -1)
        return rows + project(attend(query, key, value, self.num_heads), self.proj_out)


class ResBlock(nn.Module):
    """norm, SiLU, conv, [pool], modulated norm, SiLU, 1x1, on top of a skip, per modality; then self-attention.

    Args:
        in_channels: Of both modalities, as all widths.
        out_channels: The same.
        embed_channels: Width of the timestep embedding.
        dilation: Of the audio's convolution.
        resize: "down" averages video by (2, 2) in space and audio by 4 in time; "up" repeats as often.
        video_heads: Heads of attention over space and then over time; 0 for none.
        audio_heads: Heads of attention over the audio's time; 0 for none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embed_channels: int,
        dilation: int,
        resize: str = "",
        video_heads: int = 0,
        audio_heads: int = 0,
    ) -> None:
        super().__init__()
        self.resize = resize
        convs = {
            "video": VideoConv(in_channels, out_channels),
            "audio": AudioConv(in_channels, out_channels, 1, dilation),
        }
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embed_channels, 2 * out_channels))
        for kind, ndim in (("video", 3), ("audio", 1)):
            last = Pointwise(f"{kind}_conv", out_channels, out_channels, ndim)
            skip = Pointwise(f"{kind}_conv", in_channels, out_channels, ndim) if in_channels != out_channels else None
            self.add_module(f"{kind}_in_layers", nn.ModuleDict({"0": Norm(in_channels), "2": convs[kind]}))
            self.add_module(f"{kind}_out_layers", nn.ModuleDict({"0": ModulatedNorm(out_channels), "3": last}))
            self.add_module(f"{kind}_skip_connection", skip or nn.Identity())
        if video_heads:
            self.spatial_attention_block = SelfAttention(out_channels, video_heads)
            self.temporal_attention_block = SelfAttention(out_channels, video_heads)
        if audio_heads:
            self.audio_attention_block = SelfAttention(out_channels, audio_heads)

    def forward(self, video: Tensor, audio: Tensor, embedding: Tensor) -> Pair:
        """Rows of both modalities and the timestep embedding (b, e) to rows of both."""
        scale, shift = self.emb_layers(embedding).chunk(2, 1)
        out = []
        for kind, x, pool in zip(("video", "audio"), (video, audio), POOLS, strict=True):
            norm, conv, skip, modulated, last = (
                self.get_submodule(f"{kind}_{name}")
                for name in ("in_layers.0", "in_layers.2", "skip_connection", "out_layers.0", "out_layers.3")
            )
            down = pool if self.resize == "down" else (1, 1)
            rows = skip(average(x, down)) + last(modulated(conv(norm(x), down), scale, shift))
            # Officially repeated between conv and norm; norm, SiLU and 1x1 give the same on rows not yet repeated.
            out.append(repeat(rows, pool) if self.resize == "up" else rows)
        video, audio = out
        if hasattr(self, "spatial_attention_block"):
            video = self._attend_video(video)
        if hasattr(self, "audio_attention_block"):
            audio = self.audio_attention_block(audio.squeeze(2)).unsqueeze(2)
        return video, audio

    def _attend_video(self, video: Tensor) -> Tensor:
        b, f, h, w, c = video.shape
        video = self.spatial_attention_block(video.reshape(b * f, h * w, c))
        across = video.reshape(b, f, h * w, c).transpose(1, 2).reshape(b * h * w, f, c)
        across = self.temporal_attention_block(across).reshape(b, h * w, f, c)
        return across.transpose(1, 2).reshape(b, f, h, w, c)


class CrossAttention(nn.Module):
    """Attention between frames and their stretches of sound, in windows that move at random ("RS-MMA").

    The sound is cut into as many stretches as there are frames. Pixels of frame i attend to `window` stretches from
    i + shift on, samples of stretch i to as many frames, cyclically; both are added to the input.

    Args:
        channels: Of both modalities.
        head_channels: Channels per head.
        window: Stretches and frames attended to; None for all.
        shifted: Whether the window moves; otherwise shift is 0.
    """

    def __init__(self, channels: int, head_channels: int, window: int | None, shifted: bool) -> None:
        super().__init__()
        self.num_heads, self.window, self.shifted = channels // head_channels, window, shifted
        self.v_norm, self.a_norm = PlainNorm(channels), PlainNorm(channels)
        self.v_qkv, self.a_qkv = nn.Conv1d(channels, 3 * channels, 1), nn.Conv1d(channels, 3 * channels, 1)
        self.video_proj_out = Pointwise("video_conv", channels, channels, 3)
        self.audio_proj_out = Pointwise("audio_conv", channels, channels, 1)

    def forward(self, video: Tensor, audio: Tensor, shift: Tensor) -> Pair:
        """Rows of both modalities and the shift (b,) of each sample's window, int64, 0 .. f - window."""
        b, f, h, w, c = video.shape
        num_pixels, length = h * w, audio.shape[1] // f  # samples beyond f stretches belong to the last one
        window = self.window or f
        pixels = project(self.v_norm(video.reshape(b, -1, c)), self.v_qkv)
        samples = project(self.a_norm(audio.reshape(b, -1, c)), self.a_qkv)
        first = torch.arange(f, device=shift.device) + shift[:, None]
        heard = _windows(samples[..., c:], first, length, window)
        seen = _windows(pixels[..., c:], first, num_pixels, window)
        video_h = self._attend(pixels[..., :c].reshape(b * f, num_pixels, c), heard.flatten(0, 1))
        audio_h = self._attend(samples[:, : f * length, :c].reshape(b * f, length, c), seen.flatten(0, 1))
        rest = samples[:, f * length :, :c]
        parts = [audio_h.reshape(b, f * length, c), *([self._attend(rest, seen[:, -1])] if rest.shape[1] else [])]
        return (
            video + self.video_proj_out(video_h.reshape(video.shape)),
            audio + self.audio_proj_out(torch.cat(parts, 1).reshape(audio.shape)),
        )

    def _attend(self, query: Tensor, key_value: Tensor) -> Tensor:
        key, value = key_value.chunk(2, -1)
        return attend(query, key, value, self.num_heads)


def _windows(tokens: Tensor, first: Tensor, length: int, window: int) -> Tensor:
    """`window` stretches of `length` tokens from stretch first[b, i] on, cyclically: (b, n, c) to (b, f, m, c)."""
    index = (first * length)[..., None] + torch.arange(window * length, device=first.device)
    batch = torch.arange(len(tokens), device=first.device)[:, None, None]
    return tokens[batch, index % tokens.shape[1]]
