"""Noise schedules: beta_t and abar_t = prod (1 - beta_s), t = 0 .. T-1, in float64.

Each modality keeps its own schedule; both share T. `linear` and `scaled_linear` carry diffusers' names: VideoCrafter2
and Stable Diffusion call the latter "linear".

VideoCrafter2 also shrinks the signal as the noise grows. Its x_t is a multiple of one that preserves variance, so the
samplers and the discriminator see the latter and only the network sees x_t (`ScaledNoiseSchedule`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from mmbench.errors import UsageError

BetaSchedule = Literal["linear", "scaled_linear"]
EXACT: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}  # schedules are shared: none may lie elsewhere


def betas(kind: BetaSchedule, num_train_timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """(T,) float64 variances of the forward process, on the CPU whatever torch's default device is.

    Args:
        kind: "linear" spaces beta evenly, "scaled_linear" its square root.
        num_train_timesteps: T.
        beta_start: beta at t = 0.
        beta_end: beta at t = T-1.
    """
    if kind == "linear":
        return torch.linspace(beta_start, beta_end, num_train_timesteps, **EXACT)
    if kind == "scaled_linear":
        return torch.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps, **EXACT) ** 2
    raise UsageError(f"Unknown noise schedule {kind!r}.", "linear or scaled_linear")


class Schedule(Protocol):
    """What losses, training and discriminators read of a base model's noise: T steps, 0 the cleanest."""

    @property
    def num_train_timesteps(self) -> int:
        """T."""
        ...

    @property
    def alphas_cumprod(self) -> Tensor:
        """(T,) float64, falling; of latents at the scale that preserves variance."""
        ...

    def record(self) -> dict[str, Any]:
        """What tells this schedule from others, JSON-able."""
        ...


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

    def record(self) -> dict[str, Any]:
        """What tells this schedule from others, JSON-able."""
        return asdict(self)

    def scheduler_config(self) -> dict[str, Any]:
        """Arguments with which a diffusers scheduler steps on this schedule."""
        names = {"beta_schedule": self.kind, "beta_start": self.beta_start, "beta_end": self.beta_end}
        return {**names, "num_train_timesteps": self.num_train_timesteps}


@dataclass(frozen=True)
class ScaledNoiseSchedule(NoiseSchedule):
    """x_t = s_t sqrt(abar_t) x + sqrt(1 - abar_t) eps, where s_t falls evenly from 1 and then stays.

    With c_t^2 = s_t^2 abar_t + 1 - abar_t, x_t / c_t is what a schedule without s_t makes, whose abar_t is
    s_t^2 abar_t / c_t^2. `betas` and `alphas_cumprod` are that one's.

    Attributes:
        final_scale: s_t in the end.
        num_scale_steps: Steps from 1 to there.
    """

    final_scale: float = 0.7
    num_scale_steps: int = 400

    @cached_property
    def unscaled(self) -> NoiseSchedule:
        """The same, with s_t = 1."""
        return NoiseSchedule(self.kind, self.beta_start, self.beta_end, self.num_train_timesteps)

    @cached_property
    def signal_scale(self) -> Tensor:
        """s_t, (T,) float64."""
        falling = torch.linspace(1, self.final_scale, self.num_scale_steps, **EXACT)
        constant = torch.full((self.num_train_timesteps,), self.final_scale, **EXACT)
        return torch.cat([falling, constant])[: self.num_train_timesteps]

    @cached_property
    def magnitude(self) -> Tensor:
        """c_t, (T,) float64: what the variance-preserving x_t is multiplied by before the network sees it."""
        return (self.signal_scale**2 * self.unscaled.alphas_cumprod + 1 - self.unscaled.alphas_cumprod).sqrt()

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """(T,) float64, decreasing; of x_t / c_t."""
        return (self.signal_scale / self.magnitude) ** 2 * self.unscaled.alphas_cumprod

    @cached_property
    def betas(self) -> Tensor:
        """(T,) float64; of x_t / c_t."""
        return 1 - self.alphas_cumprod / torch.cat([torch.ones(1, **EXACT), self.alphas_cumprod[:-1]])

    def scheduler_config(self) -> dict[str, Any]:
        """Arguments with which a diffusers scheduler steps on this schedule."""
        return {"trained_betas": self.betas.tolist(), "num_train_timesteps": self.num_train_timesteps}


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
