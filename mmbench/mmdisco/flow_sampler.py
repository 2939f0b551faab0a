"""Euler steps of two flow models, each on a grid of its own, alone or guided by a discriminator.

On latents of preserved variance such a step is one of DDIM without noise, so guidance means the same as with epsilon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmbench.errors import UsageError
from mmbench.mmdisco.joint_guide import JointGuide
from mmbench.mmdisco.levels import Level, level_of_kind
from mmbench.mmdisco.losses import Pair
from mmbench.progress import report_step

Velocity = Callable[[Pair, tuple[float, float]], Pair]  # (latents, s of either model) -> predicted eps - x_0


def euler_levels(num_inference_steps: int, shift: float) -> list[Level]:
    """The N + 1 levels of N steps from noise alone to clean latents: s = shift u / (1 + (shift - 1) u), u = 1 .. 0 even.

    Those of diffusers 0.42.1: `FlowMatchEulerDiscreteScheduler(shift=shift)` with sigmas 1, 1 - 1 / N, .. 1 / N, as
    pipelines give them.
    """
    shares = [1 - i / num_inference_steps for i in range(num_inference_steps)]
    noises = [*(shift * u / (1 + (shift - 1) * u) for u in shares), 0.0]
    return [level_of_kind("flow", 1 - s, s) for s in noises]


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
            added = (None, None) if self.guide is None else self.guide.corrections(latents, now, step)
            x, y = (
                z + (there.b - here.b) * (v if more is None else v + more)
                for z, v, more, here, there in zip(latents, velocities, added, now, after, strict=True)
            )
            latents = x, y
        return latents
