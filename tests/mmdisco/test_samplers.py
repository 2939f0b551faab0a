"""Samplers of pairs: exact on Gaussians, and every sample's own noise whatever its batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.dpm_solver import DPMSolver, State
from mmbench.mmdisco.guidance import Guidance, JointPredictor
from mmbench.mmdisco.losses import independent
from mmbench.mmdisco.samplers import Sampler, SchedulerSampler, initial_noise, make_scheduler, sample_pair
from mmbench.mmdisco.schedule import NoiseSchedule
from tests.mmdisco.gaussians import ALPHAS_CUMPROD, RHO, SCHEDULES, correlation

NAMES = ["ddpm", "ddim", "dpmsolver++2m", "sde-dpmsolver++2m", "dpm_solver"]


def sampler(name: str, steps: int = 20) -> Sampler:
    if name == "dpm_solver":
        return DPMSolver(ALPHAS_CUMPROD, steps)
    return SchedulerSampler(tuple((lambda s=s: make_scheduler(name, s)) for s in SCHEDULES), steps)  # type: ignore[misc, arg-type]


def generators(seeds: list[int]) -> tuple[list[torch.Generator], list[torch.Generator]]:
    return tuple([torch.Generator().manual_seed(1000 * m + s) for s in seeds] for m in (1, 2))  # type: ignore[return-value]


def logit(x_t: Tensor, y_t: Tensor, t: Tensor) -> Tensor:
    """The optimal logit of many independent correlated pairs per sample, up to a constant: (n, k) -> (n,)."""
    r = correlation(t)[:, None].float()
    return -((r**2 * (x_t**2 + y_t**2) - 2 * r * x_t * y_t) / (2 * (1 - r**2))).sum(1)


def base(schedule: int):
    return lambda x, t, c: (1 - ALPHAS_CUMPROD[schedule][t]).sqrt()[:, None].float() * x


def predictor(scale: float = 1.0, guided: bool = True) -> JointPredictor:
    guidance = Guidance(logit, (scale, scale)) if guided else None
    return JointPredictor(independent(base(0), base(1)), ALPHAS_CUMPROD, guidance=guidance)


def coefficient(x: Tensor, y: Tensor) -> float:
    return torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1].item()


@pytest.mark.parametrize("name", NAMES)
def test_guided_independent_gaussians_become_the_joint_one(name: str) -> None:
    shapes = [(5000,), (5000,)]
    x, y = sample_pair(predictor(), shapes, generators([0, 1]), sampler(name, 50))
    assert x.dtype == torch.float32
    assert coefficient(x, y) == pytest.approx(RHO, abs=0.03)
    assert (x.std().item(), y.std().item()) == pytest.approx((1, 1), abs=0.06)
    x, y = sample_pair(predictor(guided=False), shapes, generators([0, 1]), sampler(name, 50))
    assert coefficient(x, y) == pytest.approx(0, abs=0.04)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_depends_on_its_generators_alone(name: str) -> None:
    shapes = [(3, 4), (7,)]

    def predict(state: State, t: Tensor, step: int) -> State:
        x, y = state
        return torch.tanh(x + y.mean(1)[:, None, None]), torch.sin(y * x.flatten(1).mean(1)[:, None])

    whole = sample_pair(predict, shapes, generators([5, 6, 7]), sampler(name))
    other = sample_pair(predict, shapes, generators([9, 7]), sampler(name))
    for a, b in zip(whole, other, strict=True):
        assert torch.equal(a[2], b[1])
        assert not torch.equal(a[0], b[0])


@pytest.mark.parametrize("name", NAMES)
def test_scale_zero_equals_the_base_and_the_same_noise_is_drawn(name: str) -> None:
    shapes = [(6,), (6,)]
    runs = [sample_pair(predictor(0.0, guided), shapes, generators([1, 2]), sampler(name)) for guided in (False, True)]
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a, b)


def test_noise_of_one_modality_does_not_move_when_the_other_changes_size() -> None:
    sizes = [[(6,), (6,)], [(6,), (60,)]]
    for name in ("ddpm", "ddim"):
        a, b = (sample_pair(predictor(guided=False), s, generators([1, 2]), sampler(name))[0] for s in sizes)
        assert torch.equal(a, b)


def test_initial_noise_has_a_row_per_generator() -> None:
    rows = initial_noise((2, 5), generators([3, 4])[0], torch.device("cpu"))
    assert rows.shape == (2, 2, 5)
    assert torch.equal(rows[1], torch.randn(2, 5, generator=generators([4])[0][0]))


def test_guiding_some_steps_only_counts_the_samplers_own_steps() -> None:
    calls: list[int] = []

    def discriminator(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        calls.append(int(t[0]))
        return (x * y).sum(1)

    predict = JointPredictor(
        independent(base(0), base(1)), ALPHAS_CUMPROD, guidance=Guidance(discriminator, steps=range(3, 5))
    )
    sample_pair(predict, [(2,), (2,)], generators([0]), sampler("ddpm", 10))
    assert calls == [601, 501]


def test_timesteps_of_the_released_systems() -> None:
    ddpm, solver = sampler("ddpm", 50), sampler("dpmsolver++2m", 50)
    assert isinstance(ddpm, SchedulerSampler)
    assert isinstance(solver, SchedulerSampler)
    assert [t.tolist()[:2] + t.tolist()[-2:] for t in ddpm.timesteps()] == [[981, 961, 21, 1]] * 2
    assert [t.tolist()[:2] + t.tolist()[-2:] for t in solver.timesteps()] == [[999, 979, 40, 20]] * 2


def test_modalities_that_disagree_about_timesteps_are_refused() -> None:
    short = NoiseSchedule("linear", 1e-4, 0.02, 500)
    mixed = SchedulerSampler((lambda: make_scheduler("ddim", SCHEDULES[0]), lambda: make_scheduler("ddim", short)), 10)
    with pytest.raises(UsageError, match="different timesteps"):
        sample_pair(predictor(), [(2,), (2,)], generators([0]), mixed)


def test_unknown_sampler_is_refused() -> None:
    with pytest.raises(UsageError, match="Unknown sampler"):
        make_scheduler("euler", SCHEDULES[0])  # type: ignore[arg-type]
