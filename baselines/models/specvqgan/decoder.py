"""Decoder of SpecVQGAN (arXiv 2110.08791): from codes to a log-mel spectrogram.

Facts and names: v-iashin/SpecVQGAN@33c601d:specvqgan/models/vqgan.py, specvqgan/modules/diffusionmodules/model.py
(Decoder), specvqgan/modules/transformer/permuter.py (ColumnMajor). The encoder, which only training needs, is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

GROUPS, EPSILON = 32, 1e-6


def code_grid(codes: Tensor, height: int, width: int) -> Tensor:
    """(n, height * width) codes, made column by column, as (n, height, width): mel bands by time."""
    return codes.unflatten(1, (width, height)).mT


class ResnetBlock(nn.Module):
    """Two 3x3 convolutions behind group norm and SiLU, with a skip connection."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, channels, EPSILON), nn.GroupNorm(GROUPS, out, EPSILON)
        self.conv1, self.conv2 = nn.Conv2d(channels, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(channels, out, 1) if channels != out else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(x))


class AttnBlock(nn.Module):
    """Attention of one head between all places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, EPSILON)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (project(h).flatten(2).mT[:, None] for project in (self.q, self.k, self.v))
        out = F.scaled_dot_product_attention(q, k, v)[:, 0].mT.unflatten(2, tuple(x.shape[2:]))
        return x + self.proj_out(out)


class Middle(nn.Module):
    """First blocks of the coarsest level."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1, self.block_2 = ResnetBlock(channels, channels), ResnetBlock(channels, channels)
        self.attn_1 = AttnBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Upsample(nn.Module):
    """Twice the size by repetition, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The blocks of one size, and the way to the next."""

    def __init__(self, widths: Sequence[int], attends: bool, upsamples: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(a, b) for a, b in pairwise(widths))
        self.attn = nn.ModuleList(AttnBlock(b) for b in widths[1:] if attends)
        self.upsample = Upsample(widths[-1]) if upsamples else None

    def forward(self, x: Tensor) -> Tensor:
        for k, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[k](x)
        return x if self.upsample is None else self.upsample(x)


class Decoder(nn.Module):
    """From latents (n, z_channels, h, w) to (n, out_ch, h 2^(levels - 1), w 2^(levels - 1)).

    Args:
        ch: Channels at the finest level.
        out_ch: Channels of the spectrogram.
        ch_mult: Channels of each level, finest first, over `ch`.
        num_res_blocks: Blocks of a level of the encoder; here there is one more.
        attn_resolutions: Levels with attention, by their width in time [frames].
        resolution: Width of the spectrogram [frames].
        z_channels: Channels of the latents.
    """

    def __init__(
        self,
        ch: int,
        out_ch: int,
        ch_mult: Sequence[int],
        num_res_blocks: int,
        attn_resolutions: Sequence[int],
        resolution: int,
        z_channels: int,
    ) -> None:
        super().__init__()
        deepest = ch * ch_mult[-1]
        self.conv_in = nn.Conv2d(z_channels, deepest, 3, padding=1)
        self.mid = Middle(deepest)
        self.up = nn.ModuleList()
        for k, multiple in enumerate(ch_mult):
            first = ch * ch_mult[min(k + 1, len(ch_mult) - 1)]
            widths = [first, *[ch * multiple] * (num_res_blocks + 1)]
            self.up.append(Level(widths, resolution // 2**k in attn_resolutions, upsamples=k > 0))
        self.norm_out = nn.GroupNorm(GROUPS, ch * ch_mult[0], EPSILON)
        self.conv_out = nn.Conv2d(ch * ch_mult[0], out_ch, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Codebook(nn.Module):
    """The vectors that codes stand for."""

    def __init__(self, n_embed: int, embed_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_embed, embed_dim)

    def forward(self, grid: Tensor) -> Tensor:
        """(n, h, w) codes to (n, embed_dim, h, w)."""
        return self.embedding(grid).permute(0, 3, 1, 2)


class VQDecoder(nn.Module):
    """Codebook and decoder; tensors have the names of `first_stage_model`, arguments those of the original's config."""

    def __init__(self, n_embed: int, embed_dim: int, ddconfig: dict[str, object]) -> None:
        super().__init__()
        unused = ("double_z", "in_channels", "dropout")  # of the encoder, and of training
        self.quantize = Codebook(n_embed, embed_dim)
        self.decoder = Decoder(**{k: v for k, v in ddconfig.items() if k not in unused})  # type: ignore[arg-type]
        self.post_quant_conv = nn.Conv2d(embed_dim, self.decoder.conv_in.in_channels, 1)

    def forward(self, grid: Tensor) -> Tensor:
        """(n, h, w) codes to a spectrogram (n, 1, mels, frames), log-mel in about [-1, 1]."""
        return self.decoder(self.post_quant_conv(self.quantize(grid)))
