"""Samplers of the 1-D experiment: each base model is stepped as its own kind is, its prediction guided.

    p_hat = p + gain grad_{x_t} h        where `Level.guidable`, else p

"ancestral" draws x_s from q(x_s | x_t, x_0) with the stated variance (DDPM, whatever the scale of x_t); "ode" is DDIM
with eta 0, a x_0 + b eps of the next level, which on levels of a flow is Euler's step x_t + (s' - s) p.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.guidance import Guidance, JointPredictor
from mmbench.mmdisco.levels import Level, level_of_kind
from mmbench.mmdisco.losses import Discriminator, independent, logit_and_gradient
from mmbench.mmdisco.samplers import SchedulerSampler, make_scheduler, sample_pair
from mmbench.mmdisco.toy.bases import KINDS, Bases
from mmbench.mmdisco.toy.config import ToyConfig, draw, generators
from mmbench.mmdisco.toy.data import SCHEDULE

Sampler = Literal["ancestral", "ode"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)


def sample(
    bases: Bases,
    discriminator: Discriminator | None,
    n: int,
    seeds: Sequence[int],
    config: ToyConfig,
    sampler: Sampler = "ancestral",
    stream: str = "sampling",
) -> tuple[Tensor, Tensor]:
    """(members, n) x and y; the same noise whatever the guidance.

    Two predictors of noise are sampled ancestrally by the predictor and the scheduler that real pairs are sampled by.

    Args:
        bases: Models of x and y.
        discriminator: On latents of preserved variance; None leaves the bases alone.
        n: Points per member.
        seeds: One member each.
        config: Steps, and variance of the ancestral sampler.
        sampler: "ancestral" or "ode".
        stream: Name of the random numbers.

    Raises:
        UsageError: Another sampler.
    """
    if sampler not in SAMPLERS:
        raise UsageError(f"Unknown sampler {sampler!r}.", " or ".join(SAMPLERS), "mmbench toy --sampler ode")
    if sampler == "ancestral" and all(base.kind == "eps" for base in bases):
        return _sample_noise_predictors(bases, discriminator, n, seeds, config, stream)
    return sample_natively(bases, discriminator, n, seeds, config, sampler, stream)


def _sample_noise_predictors(
    bases: Bases, discriminator: Discriminator | None, n: int, seeds: Sequence[int], config: ToyConfig, stream: str
) -> tuple[Tensor, Tensor]:
    abar = bases[0].alphas_cumprod, bases[1].alphas_cumprod
    guidance = None if discriminator is None else Guidance(discriminator)
    predict = JointPredictor(independent(bases[0].epsilon, bases[1].epsilon), abar, guidance=guidance)

    def scheduler() -> Any:
        return make_scheduler("ddpm", SCHEDULE, variance_type=config.variance, steps_offset=0)

    noise = generators(seeds, stream, "x"), generators(seeds, stream, "y")
    x, y = sample_pair(
        predict, [(n,), (n,)], noise, SchedulerSampler((scheduler, scheduler), config.num_inference_steps)
    )
    return x, y


@torch.no_grad()
def sample_natively(
    bases: Bases,
    discriminator: Discriminator | None,
    n: int,
    seeds: Sequence[int],
    config: ToyConfig,
    sampler: Sampler,
    stream: str = "sampling",
) -> tuple[Tensor, Tensor]:
    """`sample` from the last level on, each axis in its own (a, b), whatever the kinds."""
    total, steps = SCHEDULE.num_train_timesteps, config.num_inference_steps
    grid = [round(total - i * total / steps) - 1 for i in range(steps)]
    paths = [[*(base.level(t) for t in grid), level_of_kind(KINDS[base.kind], 1.0, 0.0)] for base in bases]
    gs = [generators(seeds, stream, axis) for axis in "xy"]
    state = [path[0].scale * draw(torch.randn, (n,), g) for path, g in zip(paths, gs, strict=True)]
    for i, t in enumerate(grid):
        now, following = [path[i] for path in paths], [path[i + 1] for path in paths]
        predictions = predict_natively(bases, discriminator, (state[0], state[1]), t)
        for axis, (level, then) in enumerate(zip(now, following, strict=True)):
            clean, noise = level.split(state[axis], predictions[axis])
            if sampler == "ancestral" and then.b:
                fresh = draw(torch.randn, (n,), gs[axis])
                state[axis] = step_ancestrally(level, then, state[axis], clean, fresh, config.variance)
            else:
                state[axis] = then.a * clean + then.b * noise
    return state[0], state[1]


def predict_natively(
    bases: Bases, discriminator: Discriminator | None, state: tuple[Tensor, Tensor], t: int
) -> tuple[Tensor, Tensor]:
    """Guided predictions for x_t and y_t (m, n) at timestep t: each of its own kind, of latents on their own scale."""
    times = torch.full((len(state[0]),), t)
    levels = [base.level(t) for base in bases]
    x, y = (base.predict(z, base.order[times], None) for base, z in zip(bases, state, strict=True))
    if discriminator is None:
        return x, y
    x_t, y_t = (z / level.scale for z, level in zip(state, levels, strict=True))
    _, gradient = logit_and_gradient(discriminator, x_t, y_t, times, (), create_graph=False)
    x, y = (
        p + level.gain / level.scale * grad if level.guidable else p  # grad_{x_t} h = grad_{x_t / c} h / c
        for p, level, grad in zip((x, y), levels, gradient, strict=True)
    )
    return x, y


def step_ancestrally(
    level: Level,
    then: Level,
    x_t: Tensor,
    clean: Tensor,
    fresh: Tensor,
    variance: Literal["fixed_small", "fixed_large"],
) -> Tensor:
    """Draw x at the less noisy level `then` given x_t and x_0 (arXiv 2006.11239, Eq. 7, on latents of any scale).

    Args:
        level: Of x_t.
        then: Of the draw.
        x_t: (...).
        clean: (...) what x_0 is held to be.
        fresh: (...) standard normal numbers.
        variance: That of x at `then` given x_t and x_0 ("fixed_small"), or beta of latents of preserved variance.
    """
    ratio = level.a / then.a
    forward = level.b**2 - (ratio * then.b) ** 2  # variance of x_t given x at `then`
    mean = then.a * forward / level.b**2 * clean + ratio * (then.b / level.b) ** 2 * x_t
    shrink = then.scale / level.scale if variance == "fixed_large" else then.b / level.b
    return mean + shrink * max(forward, 0.0) ** 0.5 * fresh
