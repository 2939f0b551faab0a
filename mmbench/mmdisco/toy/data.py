"""Mixtures of the 1-D experiment, their exact densities at every noise level, and how close samples come to them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.losses import Discriminator, Pair
from mmbench.mmdisco.schedule import NoiseSchedule
from mmbench.statistics.energy import energy_distance

SCHEDULE = NoiseSchedule("linear", 1e-4, 0.02, 500)
MARGINAL = ((-3.0,), (-1.5,), (0.0,), (1.5,), (3.0,))
TARGETS = {
    "ind": ((-3.0, 1.5), (-1.5, -3.0), (0.0, 3.0), (1.5, 0.0), (3.0, -1.5)),
    "ood": ((-2.25, -2.25), (2.25, 2.25), (-2.25, 2.25), (2.25, -2.25), (0.0, 0.0)),
}


@dataclass(frozen=True)
class Mixture:
    """Equal parts of isotropic Gaussians: means (k, d), one standard deviation for all."""

    means: tuple[tuple[float, ...], ...]
    sigma: float

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """(n, d) float32 points."""
        means = torch.tensor(self.means)
        which = torch.randint(len(means), (n,), generator=generator)
        return means[which] + self.sigma * torch.randn(n, means.shape[1], generator=generator)

    def log_prob(self, points: Tensor, alpha_cumprod: Tensor | float = 1.0) -> Tensor:
        """(...) log density at points (..., d) of the mixture, each axis noised to its abar.

        Args:
            points: Where.
            alpha_cumprod: A number, or abar broadcastable to (..., d).
        """
        means, abar = points.new_tensor(self.means), torch.atleast_1d(torch.as_tensor(alpha_cumprod).to(points))
        variance = abar * self.sigma**2 + 1 - abar
        first = variance[..., :1]  # distances are in its unit
        squares = (points[..., None, :] - abar.sqrt()[..., None, :] * means).square()
        distance = (squares * (first / variance)[..., None, :]).sum(-1)
        exponent = torch.logsumexp(-distance / (2 * first), -1)
        volume = torch.log(2 * torch.pi * variance).expand(*variance.shape[:-1], means.shape[1]).sum(-1) / 2
        return exponent - math.log(len(means)) - volume

    def posterior_mean(self, x_t: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """E[x_0 | x_t] of a mixture on one axis, x_t = a x_0 + b eps, finite at a = 0; a and b broadcast to x_t."""
        means = x_t.new_tensor(self.means)[:, 0]
        variance = (a * self.sigma) ** 2 + b**2
        exponent = -(x_t[..., None] - a[..., None] * means).square() / (2 * variance[..., None])
        return ((exponent.softmax(-1) * means).sum(-1) * b**2 + a * self.sigma**2 * x_t) / variance

    def entropy(self) -> float:
        """-E log q of the mixture itself, by Gauss-Hermite quadrature of 64 nodes per axis: the least mean NLL."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(64)
        dims = len(self.means[0])
        offsets = torch.cartesian_prod(*[torch.from_numpy(nodes)] * dims).reshape(-1, dims)
        products = torch.cartesian_prod(*[torch.from_numpy(weights / weights.sum())] * dims).reshape(-1, dims).prod(-1)
        points = torch.tensor(self.means, dtype=torch.float64)[:, None] + self.sigma * offsets
        return -(self.log_prob(points) * products).sum(-1).mean().item()


def marginal(sigma: float) -> Mixture:
    """The distribution on one axis, on which the base model is trained."""
    return Mixture(MARGINAL, sigma)


def target(setting: str, sigma: float) -> Mixture:
    """The joint distribution to reach: "ind" has the marginals of the base model, "ood" others."""
    if setting not in TARGETS:
        raise UsageError(f"Unknown setting {setting!r}.", f"one of {', '.join(TARGETS)}")
    return Mixture(TARGETS[setting], sigma)


def exact_epsilon(sigma: float) -> Discriminator:
    """The exact noise predictor of `marginal`: (x_t (m, n), t (m,), condition) -> (m, n)."""
    base = marginal(sigma)

    def epsilon(x_t: Tensor, t: Tensor, condition: object) -> Tensor:
        abar = SCHEDULE.alphas_cumprod[t][:, None]
        with torch.enable_grad():
            leaf = x_t.detach().requires_grad_()
            (score,) = torch.autograd.grad(base.log_prob(leaf[..., None], abar[..., None]).sum(), leaf)
        return -(1 - abar).sqrt().to(score) * score

    return epsilon


def optimal_logit(
    setting: str, sigma: float, alphas_cumprod: Pair = (SCHEDULE.alphas_cumprod, SCHEDULE.alphas_cumprod)
) -> Discriminator:
    """h* = log q(x_t, y_t) - log p(x_t) - log p(y_t) of the exact mixtures, summed over the points of a member.

    (x_t (m, n), y_t (m, n), t (m,)) -> (m,): grad_x is each point's own.

    Args:
        setting: "ind" or "ood".
        sigma: Standard deviation of every Gaussian.
        alphas_cumprod: (T,) of either axis.
    """
    joint, base = target(setting, sigma), marginal(sigma)

    def logit(x_t: Tensor, y_t: Tensor, t: Tensor) -> Tensor:
        abar = torch.stack([axis[t] for axis in alphas_cumprod], -1)[:, None]
        apart = base.log_prob(x_t[..., None], abar[..., :1]) + base.log_prob(y_t[..., None], abar[..., 1:])
        return (joint.log_prob(torch.stack([x_t, y_t], -1), abar) - apart).sum(1)

    return logit


def describe(points: Tensor, mixture: Mixture, truth: Tensor) -> dict[str, float]:
    """Scores of (n, 2) points under the mixture: NLL, and what it cannot show (spread too small, modes lost).

    Args:
        points: What is scored.
        mixture: The target.
        truth: (m, 2) points of it, for the energy distance.

    Returns:
        nll: Mean negative log likelihood, in nats.
        nll_stderr: Its standard error over points.
        excess: nll minus the entropy of the mixture; below 0 for points too close to the means.
        stray: Fraction farther than 4 sigma from every mean (0.0003 for exact points).
        spread: Standard deviation about the nearest mean of the others, in sigma (1 for exact points).
        least_mode: Smallest share of points of any mode (0.2 for exact points).
        mode_error: Half the summed differences of the modes' shares from equal ones, 0 to 0.8.
        energy: Energy distance to `truth`, in sigma; 0 for exact points, on average.
        energy_stderr: Its standard error over points.
    """
    nll = -mixture.log_prob(points.double())
    distance, nearest = (points[:, None] - points.new_tensor(mixture.means)).square().sum(-1).min(-1)
    near = distance < (4 * mixture.sigma) ** 2
    shares = torch.bincount(nearest, minlength=len(mixture.means)).double() / len(points)
    energy = energy_distance(points.double().numpy(), truth.double().numpy())
    return {
        "nll": nll.mean().item(),
        "nll_stderr": nll.std().item() / len(nll) ** 0.5,
        "excess": nll.mean().item() - mixture.entropy(),
        "stray": 1 - near.double().mean().item(),
        "spread": (distance[near].mean() / 2).sqrt().item() / mixture.sigma,
        "least_mode": shares.min().item(),
        "mode_error": (shares - 1 / len(shares)).abs().sum().item() / 2,
        "energy": energy.value / mixture.sigma,
        "energy_stderr": (energy.stderr or 0.0) / mixture.sigma,
    }
