"""Noise schedules: beta_t and abar_t = prod (1 - beta_s), t = 0 .. T-1, in float64.

Each modality keeps its own schedule; both share T. `linear` and `scaled_linear` carry diffusers' names: VideoCrafter2
and Stable Diffusion call the latter "linear".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from mmbench.errors import UsageError

BetaSchedule = Literal["linear", "scaled_linear"]


def betas(kind: BetaSchedule, num_train_timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """(T,) float64 variances of the forward process.

    Args:
        kind: "linear" spaces beta evenly, "scaled_linear" its square root.
        num_train_timesteps: T.
        beta_start: beta at t = 0.
        beta_end: beta at t = T-1.
    """
    if kind == "linear":
        return torch.linspace(beta_start, beta_end, num_train_timesteps, dtype=torch.float64)
    if kind == "scaled_linear":
        return torch.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps, dtype=torch.float64) ** 2
    raise UsageError(f"Unknown noise schedule {kind!r}.", "linear or scaled_linear")


@dataclass(frozen=True)
class NoiseSchedule:
    """A named schedule; its arguments are what a run's spec records."""

    kind: BetaSchedule
    beta_start: float
    beta_end: float
    num_train_timesteps: int = 1000

    @cached_property
    def betas(self) -> Tensor:
        """(T,) float64."""
        return betas(self.kind, self.num_train_timesteps, self.beta_start, self.beta_end)

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """(T,) float64, decreasing."""
        return torch.cumprod(1 - self.betas, 0)
