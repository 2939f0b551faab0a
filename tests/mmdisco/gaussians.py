"""A correlated pair of unit Gaussians, noised under two schedules: every quantity of the method in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from mmbench.mmdisco.losses import Pair
from mmbench.mmdisco.schedule import NoiseSchedule

RHO = 0.8
SCHEDULES = (NoiseSchedule("linear", 1e-4, 0.02), NoiseSchedule("scaled_linear", 0.00085, 0.012))
ALPHAS_CUMPROD: Pair = (SCHEDULES[0].alphas_cumprod, SCHEDULES[1].alphas_cumprod)


def epsilon_x(x_t: Tensor, t: Tensor, condition: object) -> Tensor:
    """The exact noise predictor of N(0, 1): sqrt(1 - abar) x_t."""
    return (1 - ALPHAS_CUMPROD[0][t]).sqrt()[:, None] * x_t


def epsilon_y(y_t: Tensor, t: Tensor, condition: object) -> Tensor:
    """The same under the second schedule."""
    return (1 - ALPHAS_CUMPROD[1][t]).sqrt()[:, None] * y_t


def correlation(t: Tensor) -> Tensor:
    """Correlation of x_t and y_t, (n,)."""
    return RHO * (ALPHAS_CUMPROD[0][t] * ALPHAS_CUMPROD[1][t]).sqrt()


def optimal_logit(x_t: Tensor, y_t: Tensor, t: Tensor) -> Tensor:
    """log q(x_t, y_t) - log p(x_t) - log p(y_t), (n,)."""
    x, y, r = x_t[:, 0], y_t[:, 0], correlation(t)
    return -0.5 * torch.log1p(-(r**2)) - (r**2 * (x**2 + y**2) - 2 * r * x * y) / (2 * (1 - r**2))


def score_residual(x_t: Tensor, y_t: Tensor, t: Tensor) -> Pair:
    """grad log q(x_t, y_t) - grad log p(x_t), and the same for y, written down rather than differentiated."""
    r = correlation(t)[:, None]
    joint_x, joint_y = -(x_t - r * y_t) / (1 - r**2), -(y_t - r * x_t) / (1 - r**2)
    return joint_x + x_t, joint_y + y_t


def pairs(n: int, generator: torch.Generator, rho: float = RHO) -> Pair:
    """(n, 1) float64 samples of either half; rho = 0 gives fakes."""
    x = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    z = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return x, rho * x + (1 - rho**2) ** 0.5 * z
