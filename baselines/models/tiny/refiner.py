"""The part of the embedded video model that sees small places: it corrects what a transformer of few tokens predicts.

A token of the transformer is two frames of 4x4 latents, half the picture's height and width. Balls that cross from one
token to the next, or lie near the border of two, come out as different balls. The refiner sees every latent with its
neighbours in a frame (3x3 convolutions) and with itself in all other frames (attention over time), and adds to v.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn

from mmbench.mmdisco.losses import per_sample
from mmbench.mmdisco.schedule import NoiseSchedule

NUM_HEADS = 4


class Places(nn.Module):
    """Mixes each place with its neighbours in a frame, then with itself in other frames; nothing before training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.space, self.space_out = nn.Conv2d(channels, channels, 3, padding=1), nn.Linear(channels, channels)
        self.time, self.time_out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        for parameter in (*self.space_out.parameters(), *self.time_out.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, h: Tensor, modulation: Tensor) -> Tensor:
        """(n, frames, height, width, channels) to the same, scaled and shifted by (n, 4, channels)."""
        n, frames, height, width, channels = h.shape
        scale, shift, time_scale, time_shift = modulation[:, :, None, None, None].unbind(1)
        z = (F.layer_norm(h, (channels,)) * (1 + scale) + shift).flatten(0, 1).permute(0, 3, 1, 2)
        z = F.gelu(self.space(z).permute(0, 2, 3, 1), approximate="tanh")
        h = h + self.space_out(z).view_as(h)
        z = (F.layer_norm(h, (channels,)) * (1 + time_scale) + time_shift).permute(0, 2, 3, 1, 4)
        qkv = self.time(z.reshape(n * height * width, frames, channels))
        q, k, v = qkv.view(-1, frames, 3, NUM_HEADS, channels // NUM_HEADS).permute(2, 0, 3, 1, 4)
        z = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, height, width, frames, channels)
        return h + self.time_out(z).permute(0, 3, 1, 2, 4)


class Refiner(nn.Module):
    """A correction of v, from noised latents and a guess of their v, given timestep and text.

    Args:
        shape: Of a video's latents: channels, frames, height, width.
        text_channels: Of a text's embedding.
        channels: Of what lies at each place.
        depth: Times that places are mixed.
        condition: Channels of timestep and text.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        text_channels: int,
        channels: int = 64,
        depth: int = 3,
        condition: int = 192,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.text = nn.Linear(text_channels, condition)
        self.time = Timesteps(condition, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embed = TimestepEmbedding(condition, condition)
        self.modulation = nn.Linear(condition, 4 * channels * depth)
        self.embed = nn.Conv2d(3 * shape[0], channels, 3, padding=1)
        self.position = nn.Parameter(0.02 * torch.randn(*shape[1:], channels))
        self.blocks = nn.ModuleList(Places(channels) for _ in range(depth))
        self.out = nn.Conv2d(channels, shape[0], 3, padding=1)
        for parameter in (*self.modulation.parameters(), *self.out.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, x_t: Tensor, v: Tensor, t: Tensor, text: Tensor, abar: Tensor) -> Tensor:
        """What to add to the guess `v` (n, *shape) of x_t at timesteps t (n,); abar (n,) is the signal's power."""
        modulation = self.modulation(F.silu(self.time_embed(self.time(t)) + self.text(text)))
        modulation = modulation.view(len(v), len(self.blocks), 4, self.channels)
        abar = per_sample(abar, v)
        clean = abar.sqrt() * x_t - (1 - abar).sqrt() * v
        frames = torch.cat([x_t, v, clean], 1).transpose(1, 2).flatten(0, 1)
        h = self.embed(frames.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)
        h = h.unflatten(0, (len(v), -1)) + self.position
        for k, block in enumerate(self.blocks):
            h = block(h, modulation[:, k])
        added: Tensor = self.out(F.layer_norm(h, (self.channels,)).flatten(0, 1).permute(0, 3, 1, 2))
        return added.unflatten(0, (len(v), -1)).transpose(1, 2)


class RefinedDenoiser(nn.Module):
    """A denoiser of v whose predictions a refiner corrects.

    Args:
        denoiser: A `mmbench.baselines.models.tiny.networks.Denoiser`; what a flow of its weights continues.
        refiner: Made for the denoiser's latents and texts.
    """

    def __init__(self, denoiser: Any, refiner: Refiner) -> None:
        super().__init__()
        self.denoiser, self.refiner = denoiser, refiner

    @property
    def schedule(self) -> NoiseSchedule:
        """The denoiser's."""
        schedule: NoiseSchedule = self.denoiser.schedule
        return schedule

    @property
    def words(self) -> nn.Linear:
        """The text encoder."""
        words: nn.Linear = self.denoiser.words
        return words

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """v of (n, *shape) noised latents at timesteps t (n,), which may be fractions, with texts (n, channels)."""
        return self.guess_and_v(x_t, t, text)[1]

    def guess_and_v(self, x_t: Tensor, t: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """The denoiser's v and the corrected one."""
        guess: Tensor = self.denoiser(x_t, t, text)
        return guess, guess + self.refiner(x_t, guess, t, text, self._abar(t))

    def epsilon(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """The predicted noise."""
        abar = per_sample(self._abar(t), x_t)
        return abar.sqrt() * self(x_t, t, text) + (1 - abar).sqrt() * x_t

    def _abar(self, t: Tensor) -> Tensor:
        abar: Tensor = self.schedule.alphas_cumprod
        return abar.to(t.device)[t.long().clamp(max=len(abar) - 1)]
