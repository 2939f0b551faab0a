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


def interpolate(x: Tensor, nodes: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear through (nodes, values), nodes ascending; the outer pieces extend beyond the ends."""
    i = torch.searchsorted(nodes, x).clamp(1, len(nodes) - 1)
    left, right = nodes[i - 1], nodes[i]
    return values[i - 1] + (x - left) * (values[i] - values[i - 1]) / (right - left)


@dataclass(frozen=True, eq=False)
class LogSNR:
    """lambda(s) = log (alpha / sigma) in continuous time s in (0, 1], and its inverse.

    Step i of the schedule sits at s = (i + 1) / T; log alpha is exact there and linear in between (arXiv 2206.00927,
    D.4). Computed in the precision of `alphas_cumprod`.
    """

    alphas_cumprod: Tensor

    @cached_property
    def log_alpha_nodes(self) -> Tensor:
        """0.5 log abar at the T steps."""
        return 0.5 * self.alphas_cumprod.log()

    @cached_property
    def time_nodes(self) -> Tensor:
        """s of the T steps."""
        return torch.linspace(0, 1, len(self.alphas_cumprod) + 1, dtype=self.alphas_cumprod.dtype)[1:]

    def log_alpha(self, s: Tensor) -> Tensor:
        """log alpha at s."""
        return interpolate(s, self.time_nodes, self.log_alpha_nodes)

    def __call__(self, s: Tensor) -> Tensor:
        log_alpha = self.log_alpha(s)
        return log_alpha - 0.5 * (1 - (2 * log_alpha).exp()).log()

    def inverse(self, lambda_: Tensor) -> Tensor:
        """s at which log SNR is `lambda_`."""
        log_alpha = -0.5 * torch.logaddexp(torch.zeros_like(lambda_), -2 * lambda_)
        return interpolate(log_alpha, self.log_alpha_nodes.flip(0), self.time_nodes.flip(0))
