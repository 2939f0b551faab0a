"""Sizes of the 1-D experiment (arXiv 2405.17842, A.3), and its random numbers: a stream per seed and purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import torch
from torch import Tensor

from mmbench.mmdisco.toy.data import SCHEDULE

Generators = list[torch.Generator]


@dataclass(frozen=True)
class ToyConfig:
    """Sizes and schedules of training and sampling.

    Attributes:
        num_points: Real and fake training pairs, and training points of the base model.
        repair_fakes: Combine any fake x with any fake y, anew in each batch, instead of fixed pairs.
        batch_size: Pairs per step, of either kind.
        distinct_timesteps: Timesteps per batch, one in each of as many equal parts of the schedule.
        base_steps: Training steps of the base model.
        base_lr: Its Adam learning rate at the start; both fall to 0 along a cosine.
        steps: Training steps of a discriminator.
        lr: Its Adam learning rate at the start.
        variance: Of the ancestral sampler: "fixed_large" is beta_t. "fixed_small" draws points too close together.
        num_inference_steps: Its steps; the whole schedule by default.
        num_samples: Points whose NLL is taken.
    """

    num_points: int = 500
    repair_fakes: bool = True
    batch_size: int = 512
    distinct_timesteps: int = 64
    base_steps: int = 3000
    base_lr: float = 2e-3
    steps: int = 6000
    lr: float = 1e-3
    variance: Literal["fixed_small", "fixed_large"] = "fixed_large"
    num_inference_steps: int = SCHEDULE.num_train_timesteps
    num_samples: int = 4000


DEFAULT = ToyConfig()


def generators(seeds: Sequence[int], *stream: str) -> Generators:
    """One generator per seed for a named stream: no draw of one stream or seed moves another."""
    return [torch.Generator().manual_seed(crc32("/".join([str(seed), *stream]).encode())) for seed in seeds]


def draw(function: Callable[..., Tensor], shape: tuple[int, ...], gs: Generators) -> Tensor:
    """(members, *shape) random numbers, each member's from its own generator."""
    return torch.stack([function(shape, generator=g) for g in gs])


def draw_indices(n: int, shape: tuple[int, ...], gs: Generators) -> Tensor:
    """(members, *shape) integers below n."""
    return torch.stack([torch.randint(n, shape, generator=g) for g in gs])


def draw_timesteps(config: ToyConfig, gs: Generators) -> Tensor:
    """(members, k) timesteps, one uniform in each of k equal parts of the schedule."""
    k, total = config.distinct_timesteps, SCHEDULE.num_train_timesteps
    return ((torch.arange(k) + draw(torch.rand, (k,), gs)) / k * total).long().clamp(max=total - 1)
