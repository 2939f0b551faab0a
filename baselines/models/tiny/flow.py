"""The networks of the embedded pair as rectified flows: the same transformers, continued on straight paths.

A flow mixes x_t = (1 - s) x_0 + s eps and predicts the velocity eps - x_0. With c = hypot(1 - s, s), x_t / c preserves
variance, and the network's v of it gives the velocity exactly:

    eps - x_0 = ((2 s - 1) x_t / c + v) / c

So the weights of a v-model are a flow model before any further training (a preconditioning in the sense of
arXiv 2206.00364). `scripts/train_tiny_flow.py` continues them on their own modality's flow-matching loss.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from mmbench.baselines.models.tiny.networks import Denoiser
from mmbench.baselines.models.tiny.refiner import RefinedDenoiser
from mmbench.mmdisco.flow_sampler import flow_schedule
from mmbench.mmdisco.levels import LevelSchedule
from mmbench.mmdisco.losses import per_sample
from mmbench.mmdisco.schedule import interpolate

NUM_LEVELS = 1000
SHIFTS = 3.0, 1.0  # of video and audio: the video spends more of its steps at high noise, as big video models do
SCHEDULES = flow_schedule(NUM_LEVELS, SHIFTS[0]), flow_schedule(NUM_LEVELS, SHIFTS[1])


class FlowDenoiser(nn.Module):
    """A v-predicting network as a rectified flow.

    The network keeps the times it was trained at: s is told to it as the fractional timestep at which its noise
    schedule has the same angle atan(s / (1 - s)), continued in a straight line beyond the schedule's ends (noise alone
    lies past the last timestep).

    Args:
        network: The v-model, whose weights these are; refined or not.
        schedule: Levels of a flow, which `epsilon` counts.
    """

    def __init__(self, network: Denoiser | RefinedDenoiser, schedule: LevelSchedule) -> None:
        super().__init__()
        self.network, self.schedule = network, schedule
        abar = network.schedule.alphas_cumprod
        self.angles: Tensor
        self.noise: Tensor
        self.register_buffer("angles", torch.atan2((1 - abar).sqrt(), abar.sqrt()), persistent=False)
        noise = torch.tensor([level.b for level in self.schedule.levels], dtype=torch.float64)
        self.register_buffer("noise", noise, persistent=False)

    @property
    def words(self) -> nn.Linear:
        """The text encoder."""
        return self.network.words

    def time(self, s: Tensor) -> Tensor:
        """(n,) float64 fractional timesteps of the network at s (n,) float64 in [0, 1]."""
        timesteps = torch.arange(len(self.angles), dtype=torch.float64, device=s.device)
        return interpolate(torch.atan2(s, 1 - s), self.angles, timesteps)

    def _v(self, z: Tensor, s: Tensor, text: Tensor) -> Tensor:
        return cast(Tensor, self.network(z, self.time(s), text))

    def velocity(self, x_t: Tensor, s: Tensor, text: Tensor) -> Tensor:
        """The predicted eps - x_0 of x_t = (1 - s) x_0 + s eps, (n, *shape), at s (n,) float64, texts (n, 32)."""
        c = torch.hypot(1 - s, s)
        z = x_t / per_sample(c, x_t)
        return per_sample((2 * s - 1) / c, z) * z + self._v(z, s, text) / per_sample(c, z)

    def epsilon(self, z: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """The predicted noise of z = x_t / c, (n, *shape), at integer levels t (n,) of `schedule`."""
        s = self.noise[t.long()]
        c = torch.hypot(1 - s, s)
        return per_sample(s / c, z) * z + per_sample((1 - s) / c, z) * self._v(z, s, text)
