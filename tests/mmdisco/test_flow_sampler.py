"""Euler steps of flow models: diffusers' grid and steps, and DDIM on latents of preserved variance when guided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.flow_sampler import FlowEuler, euler_levels, flow_schedule
from mmbench.mmdisco.guidance import Guidance
from mmbench.mmdisco.joint_guide import JointGuide
from mmbench.mmdisco.losses import Pair, logit_and_gradient

STEPS, SHIFTS, SCALE, T = 25, (3.0, 1.0), (2.0, 0.5), 1000
LEVELS = euler_levels(STEPS, SHIFTS[0]), euler_levels(STEPS, SHIFTS[1])


def noises() -> Pair:
    g = torch.Generator().manual_seed(0)
    return torch.randn(4, 6, generator=g, dtype=torch.float64), torch.randn(4, 6, generator=g, dtype=torch.float64)


def velocities(latents: Pair, s: tuple[float, float]) -> Pair:
    """Of two made-up flows that are not straight."""
    x, y = latents
    return x.sin() + 0.5 * (1 - s[0]) * x, torch.tanh(y) - s[1]


def logit(x: Tensor, y: Tensor, t: Tensor, *text: Tensor) -> Tensor:
    return (0.2 * x.sin() * y.cos()).sum(1) + 0.2 * (1e-3 * t + x[:, 0]).sin() * y[:, 1].cos()


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_grid_and_the_steps_are_those_of_diffusers(shift: float) -> None:
    scheduler: Any = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / STEPS, STEPS).tolist())
    levels = euler_levels(STEPS, shift)
    np.testing.assert_allclose([level.b for level in levels], scheduler.sigmas.numpy(), atol=1e-6)
    x, y = noises()
    ours, _ = FlowEuler(velocities, (levels, levels)).sample((x, y))
    theirs = x
    for t, s in zip(scheduler.timesteps, scheduler.sigmas.tolist(), strict=False):
        theirs = scheduler.step(velocities((theirs, y), (s, s))[0], t, theirs, return_dict=False)[0]
    torch.testing.assert_close(ours, theirs.to(ours), atol=1e-4, rtol=0)


def test_the_levels_of_a_schedule_are_those_that_its_samplers_visit() -> None:
    schedule = flow_schedule(T, 3.0)
    noise = [level.b for level in schedule.levels]
    assert noise == sorted(noise)
    assert noise[-1] == 1.0
    assert [schedule.place(level) for level in euler_levels(STEPS, 3.0)[:-1]] == list(range(T - 1, 0, -T // STEPS))


def test_guided_euler_is_guided_ddim_on_latents_of_preserved_variance() -> None:
    """DDIM of diffusers with v-prediction, of which x_t is c z, the velocity of v, and the gradient that of z."""
    schedules = flow_schedule(T, SHIFTS[0]), flow_schedule(T, SHIFTS[1])
    guide = JointGuide(Guidance(logit, SCALE), schedules)
    got = FlowEuler(velocities, LEVELS, guide).sample(noises())
    unguided = FlowEuler(velocities, LEVELS).sample(noises())
    makers: list[Any] = []
    for schedule in schedules:
        abar = schedule.alphas_cumprod
        betas = 1 - abar / torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])
        options: Any = {"prediction_type": "v_prediction", "clip_sample": False, "timestep_spacing": "trailing"}
        makers.append(DDIMScheduler(trained_betas=betas.tolist(), **options))
        makers[-1].set_timesteps(STEPS)
    z = noises()
    for t in makers[0].timesteps.tolist():
        levels = [schedule.levels[t] for schedule in schedules]
        x, y = (one * level.scale for one, level in zip(z, levels, strict=True))
        predicted = velocities((x, y), (levels[0].b, levels[1].b))
        _, gradient = logit_and_gradient(logit, *z, torch.full((4,), float(t)), (), create_graph=False)
        after = []
        for one, p, grad, level, scale, maker in zip(z, predicted, gradient, levels, SCALE, makers, strict=True):
            v = level.scale * p - (level.b - level.a) * one
            v = v - scale * (level.b / level.a) * grad if t < T - 1 else v  # at noise alone nothing is guided
            after.append(maker.step(v, t, one, eta=0.0).prev_sample)
        z = after[0], after[1]
    for ours, theirs, alone in zip(got, z, unguided, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
        assert float((ours - alone).abs().max()) > 0.1


def test_grids_of_unequal_length_are_refused() -> None:
    with pytest.raises(UsageError, match="25 and 10 steps"):
        FlowEuler(velocities, (LEVELS[0], euler_levels(10, 1.0)))
