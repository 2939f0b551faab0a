"""Euler steps of two flow models, each on a grid of its own, alone or guided by a discriminator.

On latents of preserved variance such a step is one of DDIM without noise, so guidance means the same as with epsilon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.joint_guide import JointGuide
from mmbench.mmdisco.levels import Level, LevelSchedule, level_of_kind
from mmbench.mmdisco.losses import Pair
from mmbench.progress import report_step

Number = TypeVar("Number", float, Tensor)
Velocity = Callable[[Pair, tuple[float, float]], Pair]  # (latents, s of either model) -> predicted eps - x_0


def shift_noise(share: Number, shift: float) -> Number:
    """The s of an unshifted share u of noise in [0, 1]: shift u / (1 + (shift - 1) u), as flow schedulers have it."""
    return shift * share / (1 + (shift - 1) * share)


def euler_levels(num_inference_steps: int, shift: float) -> list[Level]:
    """The N + 1 levels of N steps from noise alone to clean latents: even shares of noise from 1 to 0, shifted.

    Those of diffusers 0.42.1: `FlowMatchEulerDiscreteScheduler(shift=shift)` with sigmas 1, 1 - 1 / N, .. 1 / N, as
    pipelines give them.
    """
    left = range(num_inference_steps, -1, -1)
    noises = [shift_noise(i / num_inference_steps, shift) for i in left]
    return [level_of_kind("flow", 1 - s, s) for s in noises]


def flow_schedule(num_train_timesteps: int, shift: float) -> LevelSchedule:
    """The levels of T Euler steps, t = 0 the cleanest: s of (t + 1) / T, shifted; the last is noise alone."""
    return LevelSchedule(euler_levels(num_train_timesteps, shift)[-2::-1], f"flow, shift {shift:g}")


@dataclass(frozen=True, eq=False)
class FlowEuler:
    """Steps both modalities at the same index of their grids: x_t + (s' - s) (v + what the discriminator adds).

    Args:
        velocity: The models.
        levels: N + 1 of either grid, from noise to clean.
        guide: The discriminator; None samples the models alone.
    """

    velocity: Velocity
    levels: tuple[Sequence[Level], Sequence[Level]]
    guide: JointGuide | None = None

    def __post_init__(self) -> None:
        if len(self.levels[0]) != len(self.levels[1]):
            steps = " and ".join(str(len(levels) - 1) for levels in self.levels)
            raise UsageError(f"The grids have {steps} steps.", "as many in both modalities")

    def sample(self, noise: Pair) -> Pair:
        """Clean latents (n, ...) of both modalities from standard normal noise of their shapes."""
        latents, (video, audio) = noise, self.levels
        num = len(video) - 1
        for step in range(num):
            report_step(step, num)
            now, after = (video[step], audio[step]), (video[step + 1], audio[step + 1])
            velocities = self.velocity(latents, (now[0].b, now[1].b))
            added = (None, None) if self.guide is None else self.guide.corrections(latents, now, step, velocities)
            x, y = (
                z + (there.b - here.b) * (v if more is None else v + more)
                for z, v, more, here, there in zip(latents, velocities, added, now, after, strict=True)
            )
            latents = x, y
        return latents
