"""Noise levels of any diffusion or flow model, and what its prediction means there.

x_t = a x_0 + b eps, and a prediction p says x_0 = u x_t + w p. A discriminator's gradient enters every kind of
prediction by one number, since the joint score is that of the base plus grad h:

    p_hat = p + gain grad_{x_t} h,    gain = b^2 / (a w)

    epsilon       w = -b / a          gain = -b
    sample (x_0)  w = 1               gain = b^2 / a
    v             w = -b / c          gain = -b c / a, with c = hypot(a, b), 1 if variance is preserved
    flow          w = -b / (a + b)    gain = -b (a + b) / a, with a = 1 - s, b = s: -s / (1 - s)
    EDM           w = c_out           gain = b^2 / c_out, with a = 1

Epsilon on latents of preserved variance, x_t / c, is the common currency of losses and discriminators: the noise that p
stands for does not depend on the scale of x_t, and it has no pole where a falls to 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.identity import digest_of

Kind = Literal["epsilon", "sample", "v", "flow", "inverse_flow", "edm_v", "edm_epsilon"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEAST_SIGNAL = 1e-3  # of a / c: below it nothing is guided; one step of the published grids, where gain has its pole


@dataclass(frozen=True)
class Level:
    """A noise level: x_t = a x_0 + b eps, of which a prediction p says x_0 = u x_t + w p."""

    a: float
    b: float
    u: float
    w: float

    @property
    def scale(self) -> float:
        """c = hypot(a, b): x_t / c has the variance of x_0 = 1."""
        return math.hypot(self.a, self.b)

    @property
    def alpha_cumprod(self) -> float:
        """abar of x_t / c."""
        return (self.a / self.scale) ** 2

    @property
    def log_snr(self) -> float:
        """log (a / b); infinite at either end."""
        return math.inf if self.b == 0 else -math.inf if self.a == 0 else math.log(self.a / self.b)

    @property
    def angle(self) -> float:
        """2 / pi atan (b / a): 0 for clean latents, 1 for noise, finite everywhere."""
        return math.atan2(self.b, self.a) * 2 / math.pi

    @property
    def guidable(self) -> bool:
        """Whether there is signal enough that a discriminator's gradient means something: a / c from 1e-3."""
        return self.a >= LEAST_SIGNAL * self.scale

    @property
    def gain(self) -> float:
        """Factor of grad_{x_t} h in the guided prediction; ZeroDivisionError at a = 0, where nothing is guided."""
        return self.b**2 / (self.a * self.w) if self.b else 0.0

    def split(self, x_t: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """The (x_0, eps) that a prediction stands for; without noise (b = 0) eps is 0."""
        x_0 = self.u * x_t + self.w * p
        return x_0, (x_t - self.a * x_0) / self.b if self.b else torch.zeros_like(x_t)

    def noise(self, x_t: Tensor, p: Tensor) -> Tensor:
        """The eps that a prediction stands for; of an epsilon at a = 0, which says nothing of x_0, itself."""
        return self.split(x_t, p)[1] if math.isfinite(self.u) else p

    def prediction(self, x_0: Tensor, eps: Tensor) -> Tensor:
        """The p of a model that knows both."""
        return (x_0 - self.u * (self.a * x_0 + self.b * eps)) / self.w


def level_of_kind(kind: Kind, a: float, b: float, sigma_data: float = 1.0) -> Level:
    """The level of x_t = a x_0 + b eps under a model that predicts `kind`.

    Args:
        kind: "epsilon", "sample" (x_0), "v" of x_t / c, "flow" (eps - x_0), "inverse_flow" (x_0 - eps), or the output
            of a network in EDM's preconditioning (arXiv 2206.00364) that stands for v ("edm_v") or for the noise
            ("edm_epsilon").
        a: Signal, from 0; 1 for EDM. At 0 an epsilon says nothing of x_0: u and w are infinite.
        b: Noise, from 0.
        sigma_data: Standard deviation of the data that EDM's preconditioning assumes.

    Raises:
        UsageError: Another kind.
    """
    if kind == "epsilon":
        return Level(a, b, 1 / a, -b / a) if a else Level(a, b, math.inf, -math.inf)
    if kind == "sample":
        return Level(a, b, 0.0, 1.0)
    if kind in ("flow", "inverse_flow"):
        return Level(a, b, 1 / (a + b), (-b if kind == "flow" else b) / (a + b))
    if kind == "v":
        return Level(a, b, a / (a * a + b * b), -b / math.hypot(a, b))
    if kind in ("edm_v", "edm_epsilon"):
        norm = math.hypot(b, sigma_data)
        return Level(a, b, (sigma_data / norm) ** 2, (-b if kind == "edm_v" else b) * sigma_data / norm)
    raise UsageError(f"Unknown kind of prediction {kind!r}.", f"one of {', '.join(KINDS)}")


@dataclass(frozen=True, eq=False)
class LevelSchedule:
    """The noise levels of a base model in T steps, t = 0 the cleanest: what `NoiseSchedule` is to epsilon models.

    Losses and discriminators see x_t / c and `alphas_cumprod`, whatever the model predicts and whatever its scale.

    Attributes:
        levels: T of them, of rising noise.
        name: What they were read from, for records.
    """

    levels: Sequence[Level] = field(repr=False)
    name: str = ""

    @property
    def num_train_timesteps(self) -> int:
        """T."""
        return len(self.levels)

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """(T,) float64, falling; of x_t / c."""
        return torch.tensor([level.alpha_cumprod for level in self.levels], dtype=torch.float64)

    @cached_property
    def _angles(self) -> Tensor:
        return torch.tensor([level.angle for level in self.levels], dtype=torch.float64)

    def place(self, level: Level) -> float:
        """Position of a sampler's level among these, in [0, T - 1]: linear between neighbours in `Level.angle`."""
        angles = self._angles
        i = int(torch.searchsorted(angles, torch.tensor(level.angle, dtype=torch.float64)).clamp(1, len(angles) - 1))
        left, right = float(angles[i - 1]), float(angles[i])
        share = (level.angle - left) / (right - left) if right > left else 1.0
        place = i - 1 + min(max(share, 0.0), 1.0)
        whole = round(place)
        return float(whole) if abs(place - whole) < 1e-6 else place

    def record(self) -> dict[str, Any]:
        """What tells these levels from others, JSON-able."""
        rows = [[level.a, level.b, level.u, level.w] for level in self.levels]
        return {
            "name": self.name,
            "num_train_timesteps": len(rows),
            "digest": digest_of([[repr(x) for x in r] for r in rows]),
        }
