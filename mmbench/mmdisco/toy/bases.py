"""Base models of the 1-D experiment: of noise, of v or of a flow's velocity, each on levels of its own.

All have T levels. Losses and discriminators see x_t / c and the noise that a prediction stands for (`Base.epsilon`);
the sampler sees the model as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.levels import Kind, Level, LevelSchedule, level_of_kind
from mmbench.mmdisco.toy.data import SCHEDULE, exact_epsilon, marginal

BaseKind = Literal["eps", "v", "flow"]
Pairing = Literal["index", "log_snr"]
Predictor = Callable[[Tensor, Tensor, object], Tensor]  # (x_t, t, condition) -> prediction, shaped like x_t
KINDS: dict[BaseKind, Kind] = {"eps": "epsilon", "v": "v", "flow": "flow"}
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)


@cache
def levels_of(kind: BaseKind) -> LevelSchedule:
    """The T levels of a kind: those of the DDPM schedule for "eps" and "v", s = 1 / T to 1 for "flow"."""
    total = SCHEDULE.num_train_timesteps
    if kind == "flow":
        places = [(1 - s / total, s / total) for s in range(1, total + 1)]
    else:
        abar = SCHEDULE.alphas_cumprod
        places = list(zip(abar.sqrt().tolist(), (1 - abar).sqrt().tolist(), strict=True))
    return LevelSchedule([level_of_kind(KINDS[kind], a, b) for a, b in places], kind)


def training_target(kind: BaseKind, x_0: Tensor, noise: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """What a base model is trained to predict from a x_0 + b eps; a and b broadcast to x_0."""
    if kind == "eps":
        return noise
    return noise - x_0 if kind == "flow" else a * noise - b * x_0


def exact_prediction(kind: BaseKind, sigma: float) -> Predictor:
    """What a perfect base model of `marginal` predicts: (x_t (m, n), t (m,), condition) -> (m, n)."""
    if kind == "eps":
        return exact_epsilon(sigma)
    levels = torch.tensor([(level.a, level.b) for level in levels_of(kind).levels], dtype=torch.float64)

    def predict(x_t: Tensor, t: Tensor, condition: object) -> Tensor:
        a, b = (column[:, None].to(x_t) for column in levels[t].unbind(-1))
        x_0 = marginal(sigma).posterior_mean(x_t, a, b)
        return training_target(kind, x_0, (x_t - a * x_0) / b, a, b)

    return predict


def order_levels(kinds: tuple[BaseKind, BaseKind], pairing: Pairing) -> tuple[Tensor, Tensor]:
    """Which of its own levels either base model is at, at each of the T timesteps of the pair.

    Args:
        kinds: Of x and y.
        pairing: "index" pairs levels of equal index, "log_snr" each level of x with that of y of nearest log SNR.

    Raises:
        UsageError: Another pairing.
    """
    index = torch.arange(SCHEDULE.num_train_timesteps)
    if pairing not in PAIRINGS:
        raise UsageError(
            f"Unknown pairing {pairing!r}.", f"one of {', '.join(PAIRINGS)}", "mmbench toy --pairing index"
        )
    if pairing == "index":
        return index, index
    x, y = (levels_of(kind) for kind in kinds)
    return index, torch.tensor([round(y.place(level)) for level in x.levels])


@dataclass(frozen=True, eq=False)
class Base:
    """A base model of one axis.

    Attributes:
        kind: What it predicts.
        predict: The model; it takes its own x_t and the index of its own level.
        order: (T,) its level at each timestep of the pair.
    """

    kind: BaseKind
    predict: Predictor
    order: Tensor

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """(T,) float64, of x_t / c at each timestep of the pair."""
        own = levels_of(self.kind).alphas_cumprod if self.kind == "flow" else SCHEDULE.alphas_cumprod
        return own[self.order]

    def level(self, t: int) -> Level:
        """Its level at timestep t of the pair."""
        return levels_of(self.kind).levels[int(self.order[t])]

    @cached_property
    def _noise(self) -> Tensor:
        """(T, 3) float64: c, and the factors of x_t and of the prediction in the noise that it stands for."""
        x_t, p = torch.eye(2, dtype=torch.float64)
        rows = [(level.scale, *level.noise(x_t, p).tolist()) for level in levels_of(self.kind).levels]
        return torch.tensor(rows, dtype=torch.float64)

    def epsilon(self, x_t: Tensor, t: Tensor, condition: object) -> Tensor:
        """The noise in latents of preserved variance: x_t (m, n) with t (m,), or (m, k, r) with (m, k)."""
        i = self.order[t]
        if self.kind == "eps":
            return self.predict(x_t, i, condition)
        scale, of_latents, of_prediction = (z[..., None].to(x_t) for z in self._noise[i].unbind(-1))
        own = scale * x_t
        return of_latents * own + of_prediction * self.predict(own, i, condition)


Bases = tuple[Base, Base]
