"""How Diff-Foley samples: DPM-Solver++ 2M with classifier-free and classifier guidance ("double guidance").

Source: luosiallen/Diff-Foley@0ba1e8a:diff_foley/models/diffusion/dpm_solver/sampler.py, dpm_solver.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mmbench.mmdisco.dpm_solver import DPMSolver, State
from mmbench.mmdisco.schedule import LogSNR, NoiseSchedule

SCHEDULE = NoiseSchedule("scaled_linear", 0.00085, 0.012)


def solver(num_inference_steps: int, alphas_cumprod: Tensor | None = None) -> DPMSolver:
    """Multistep of order 2, at even times that are not rounded.

    Args:
        num_inference_steps: Steps, at least 2.
        alphas_cumprod: abar_t, instead of Diff-Foley's; rounded to float32 as it is there.
    """
    abar = SCHEDULE.alphas_cumprod if alphas_cumprod is None else alphas_cumprod
    return DPMSolver(
        (abar.float(),),
        num_inference_steps=num_inference_steps,
        order=2,
        method="multistep",
        spacing="time_uniform",
        nodes="respaced",
        integer_times=False,
    )


@dataclass(frozen=True, eq=False)
class DoubleGuidance:
    """epsilon = eps_u + w (eps_c - eps_u) - s sigma_t grad log p, as a solver's `predict` (arXiv 2306.17203, 3.3).

    Args:
        epsilon: Predicted noise of (x_t, t (n,), condition).
        condition: (n, tokens, width).
        unconditional: Of the same shape.
        log_snr: lambda(s) of the schedule, which tells sigma_t.
        guidance_scale: w.
        gradient: grad log p of (x_t, t (n,)); None guides by w alone.
        classifier_scale: s.
    """

    epsilon: Callable[[Tensor, Tensor, Tensor], Tensor]
    condition: Tensor
    unconditional: Tensor
    log_snr: LogSNR
    guidance_scale: float = 4.5
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None
    classifier_scale: float = 50.0

    def sigma(self, t: float) -> float:
        """Standard deviation of the noise at time t of the network, in [0, T - 1]."""
        num = len(self.log_snr.alphas_cumprod)
        log_alpha = self.log_snr.log_alpha(torch.tensor([(t + 1) / num], dtype=torch.float64))
        return (-torch.expm1(2 * log_alpha)).sqrt().item()

    def __call__(self, state: State, t: Tensor, step: int) -> State:
        (x,) = state
        both = self.epsilon(torch.cat([x, x]), torch.cat([t, t]), torch.cat([self.unconditional, self.condition]))
        free, given = both.chunk(2)
        noise = free + self.guidance_scale * (given - free)
        if self.gradient is not None:
            noise = noise - self.classifier_scale * self.sigma(float(t[0])) * self.gradient(x, t)
        return (noise,)


@dataclass(frozen=True)
class Sampling:
    """Settings of Diff-Foley's sampler and guidance, all of them part of a run's identity.

    Attributes:
        num_inference_steps: Steps of DPM-Solver++ 2M.
        guidance_scale: Classifier-free guidance by the video.
        classifier_scale: Guidance by the alignment classifier; 0 needs none.
    """

    num_inference_steps: int = 25
    guidance_scale: float = 4.5
    classifier_scale: float = 50.0
