"""VideoCrafter2's own noise schedule and its own DDIM (AILab-CVC/VideoCrafter@11bcd76:lvdm/models/samplers/ddim.py)."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.schedule import NoiseSchedule, ScaledNoiseSchedule

NATIVE = ScaledNoiseSchedule("scaled_linear", 0.00085, 0.012, final_scale=0.7, num_scale_steps=400)
RELEASED_MMDISCO = NoiseSchedule(
    "linear", 0.00085, 0.012
)  # other betas, and the signal unscaled: what its release runs


class ScaledDDIM:
    """DDIM (arXiv 2010.02502) where the signal shrinks, with the interface of diffusers' schedulers.

    It differs from DDIM on the variance-preserving schedule when eta > 0: the noise it adds is that of the unscaled
    schedule. Samples come and go divided by their magnitude, as every sampler here sees them.

    Args:
        schedule: The noise schedule.
        eta: 0 adds no noise, 1 as much as ancestral sampling; VideoCrafter2 is published with 1.
    """

    def __init__(self, schedule: ScaledNoiseSchedule, eta: float = 1.0) -> None:
        self.schedule, self.eta = schedule, eta
        self.alphas_cumprod = schedule.alphas_cumprod
        self.timesteps = torch.empty(0, dtype=torch.int64)

    def set_timesteps(self, num_inference_steps: int, device: torch.device | None = None) -> None:
        """Timesteps, evenly spaced from 1 on and descending: 981, 961, .. 1 for 50; more steps where T is no multiple.

        Raises:
            UsageError: The steps would begin beyond T - 1.
        """
        total = self.schedule.num_train_timesteps
        self.stride = max(total // num_inference_steps, 1)
        steps = 1 + torch.arange(0, total, self.stride)
        if steps[-1] >= total:
            raise UsageError(
                f"DDIM in {num_inference_steps} steps begins at t = {steps[-1]}.", f"t below {total}", "50 steps"
            )
        self.timesteps = steps.flip(0).to(device)

    def step(
        self, epsilon: Tensor, t: Tensor, sample: Tensor, generator: list[torch.Generator] | None = None
    ) -> SimpleNamespace:
        """One step; the result's `prev_sample` is (n, ...), in the precision of `sample`.

        Args:
            epsilon: (n, ...) predicted noise.
            t: The timestep, a scalar.
            sample: (n, ...) x_t, divided by its magnitude.
            generator: One per sample, for the noise that is added.
        """
        now, then = int(t), max(int(t) - self.stride, 0)
        abar, abar_then = (float(self.schedule.unscaled.alphas_cumprod[i]) for i in (now, then))
        scale, scale_then = (float(self.schedule.signal_scale[i]) for i in (now, then))
        sigma = self.eta * ((1 - abar_then) / (1 - abar) * (1 - abar / abar_then)) ** 0.5
        x_t = float(self.schedule.magnitude[now]) * sample
        x = (x_t - (1 - abar) ** 0.5 * epsilon) / (abar**0.5 * scale)
        x_then = abar_then**0.5 * scale_then * x + (1 - abar_then - sigma**2) ** 0.5 * epsilon
        if sigma:
            noise = randn_tensor(sample.shape, generator=generator, device=sample.device, dtype=sample.dtype)
            x_then = x_then + sigma * noise
        return SimpleNamespace(prev_sample=x_then / float(self.schedule.magnitude[then]))
