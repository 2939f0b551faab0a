"""DPM-Solver against the exact solution of the probability flow of Gaussians, and its bookkeeping."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.dpm_solver import DPMSolver, State, dynamic_threshold, singlestep_orders
from mmbench.mmdisco.schedule import LogSNR, NoiseSchedule

LINEAR = NoiseSchedule("linear", 1e-4, 0.02).alphas_cumprod
SCALED = NoiseSchedule("scaled_linear", 0.00085, 0.012).alphas_cumprod
MEAN, STD = 0.7, 0.4


def moments(alphas_cumprod: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the noised N(MEAN, STD^2) at continuous time s."""
    alpha = LogSNR(alphas_cumprod).log_alpha(s).exp()
    return alpha * MEAN, alpha**2 * STD**2 + 1 - alpha**2


def gaussian(state: State, t: Tensor, step: int, schedules: tuple[Tensor, ...] = (LINEAR,)) -> State:
    """The exact noise predictor of N(MEAN, STD^2) at float times."""
    s = t[:1].double() / 1000 + 1e-3
    out = []
    for x, abar in zip(state, schedules, strict=True):
        mean, variance = moments(abar, s)
        out.append((-torch.expm1(2 * LogSNR(abar).log_alpha(s))).sqrt() * (x - mean) / variance)
    return tuple(out)


def solution(x_end: Tensor, abar: Tensor) -> Tensor:
    """Where the probability flow takes x from s = 1 to the first step of the schedule."""
    (mean_1, var_1), (mean_0, var_0) = (moments(abar, torch.tensor([s], dtype=torch.float64)) for s in (1.0, 1e-3))
    return mean_0 + (var_0 / var_1).sqrt() * (x_end - mean_1)


NOISE = torch.randn(4, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def error(steps: int, **settings: object) -> float:
    solver = DPMSolver((LINEAR,), steps, integer_times=False, **settings)  # type: ignore[arg-type]
    (got,) = solver.sample(gaussian, (NOISE,))
    return (got - solution(NOISE, LINEAR)).abs().max().item()


@pytest.mark.parametrize("predict_sample", [True, False])
@pytest.mark.parametrize(
    ("method", "nodes"), [("singlestep", "shared"), ("singlestep", "respaced"), ("multistep", "shared")]
)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_order_of_convergence(order: int, method: str, nodes: str, predict_sample: bool) -> None:
    settings = {"order": order, "method": method, "nodes": nodes, "predict_sample": predict_sample}
    coarse, fine = error(24, **settings), error(96, **settings)
    # Third order starts (multistep) or ends (singlestep) with lower-order steps, which costs it up to one order.
    assert math.log(coarse / fine) / math.log(4) > {1: 0.9, 2: 1.8, 3: 2.0}[order]


@pytest.mark.parametrize("method", ["singlestep", "multistep"])
def test_more_order_is_more_accurate(method: str) -> None:
    errors = [error(24, order=order, method=method) for order in (1, 2, 3)]
    assert errors[0] > 2.5 * errors[1]
    assert errors[1] > (1.8 if method == "multistep" else 50) * errors[2]
    assert errors[2] < 0.01


def test_each_modality_follows_its_own_schedule() -> None:
    solver = DPMSolver((LINEAR, SCALED), 60, integer_times=False)
    got = solver.sample(lambda z, t, i: gaussian(z, t, i, (LINEAR, SCALED)), (NOISE, NOISE))
    for sample, abar in zip(got, (LINEAR, SCALED), strict=True):
        torch.testing.assert_close(sample, solution(NOISE, abar), rtol=0, atol=5e-4)
    assert (got[0] - got[1]).abs().max() > 1e-3


@pytest.mark.parametrize("method", ["singlestep", "multistep"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("steps", [3, 4, 7, 14, 15, 20])
def test_evaluations_are_counted_and_numbered(steps: int, order: int, method: str) -> None:
    seen: list[tuple[int, float]] = []

    def predict(state: State, t: Tensor, step: int) -> State:
        seen.append((step, t[0].item()))
        assert t.shape == (4,)
        return state

    DPMSolver((LINEAR,), steps, order, method).sample(predict, (NOISE,))  # type: ignore[arg-type]
    assert [step for step, _ in seen] == list(range(steps))
    times = [t for _, t in seen]
    assert times == sorted(times, reverse=True)
    assert times[0] == 999


def test_integer_times_of_the_released_mm_diffusion_run() -> None:
    seen: list[int] = []

    def predict(state: State, t: Tensor, step: int) -> State:
        assert t.dtype == torch.int64
        seen.append(int(t[0]))
        return state

    DPMSolver((LINEAR.float(),)).sample(predict, (NOISE,))
    assert seen == [999, 949, 898, 843, 784, 721, 652, 576, 492, 399, 302, 211, 138, 85, 51, 30, 16, 8, 3, 1]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("steps", range(3, 12))
def test_singlestep_orders_use_every_evaluation_and_end_low(steps: int, order: int) -> None:
    orders = singlestep_orders(steps, order)
    assert sum(orders) == steps
    assert orders == sorted(orders, reverse=True)
    assert max(orders) == (order if steps > order else orders[0])


def test_shared_nodes_lie_on_one_grid_and_respaced_ones_inside_each_step() -> None:
    shared = DPMSolver((LINEAR,), 6, 3, spacing="time_uniform").times()
    assert [len(nodes) for nodes in shared] == [4, 3, 2]
    flat = torch.tensor([s for nodes in shared for s in nodes[:-1]] + [shared[-1][-1]])
    torch.testing.assert_close(flat.diff(), torch.full((6,), -0.999 / 6))
    respaced = DPMSolver((LINEAR,), 6, 3, spacing="logSNR", nodes="respaced").times()
    steps = [LogSNR(LINEAR.float())(torch.tensor(nodes)).diff() for nodes in respaced]
    widths = torch.tensor([step.sum() for step in steps])
    torch.testing.assert_close(widths, widths[:1].expand(3), rtol=1e-3, atol=0)  # outer steps of equal width
    for step in steps:
        torch.testing.assert_close(step, step[:1].expand_as(step), rtol=1e-3, atol=0)


def test_log_snr_inverts_and_is_exact_at_the_steps() -> None:
    log_snr = LogSNR(LINEAR)
    s = torch.linspace(0.001, 1, 777, dtype=torch.float64)
    torch.testing.assert_close(log_snr.inverse(log_snr(s)), s, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(log_snr(torch.tensor([0.5], dtype=torch.float64)), 0.5 * torch.logit(LINEAR[499:500]))


def test_dynamic_threshold_clamps_each_sample_by_its_own_quantile() -> None:
    x = torch.linspace(-1, 1, 1001).repeat(3, 1).reshape(3, 7, 11, 13)
    x[1] *= 4
    out = dynamic_threshold(x)
    assert torch.equal(out[0], x[0])  # within [-1, 1] nothing happens
    limit = torch.quantile(x[1].abs().flatten(), 0.995)
    assert 3.9 < limit < 4
    torch.testing.assert_close(out[1], x[1].clamp(-limit, limit) / limit)
    assert out.abs().max() == 1
    assert torch.equal(out[2], dynamic_threshold(x[2:])[0])


def test_thresholding_bounds_the_samples() -> None:
    plain, bounded = (
        DPMSolver((LINEAR,), thresholding=t).sample(lambda z, t, i: (0 * z[0],), (NOISE,))[0] for t in (False, True)
    )
    assert plain.abs().max() > 50
    assert bounded.abs().max() <= 1.05


def test_a_sample_does_not_depend_on_its_batch() -> None:
    solver = DPMSolver((LINEAR, SCALED), thresholding=True)

    def predict(state: State, t: Tensor, step: int) -> State:
        x, y = state
        return torch.tanh(x + y.mean(1, keepdim=True)), torch.sin(y - x.mean(1, keepdim=True))

    x, y = torch.randn(2, 5, 30, generator=torch.Generator().manual_seed(1))
    whole, alone = solver.sample(predict, (x, y)), solver.sample(predict, (x[3:4], y[3:4]))
    for a, b in zip(whole, alone, strict=True):
        assert torch.equal(a[3:4], b)


@pytest.mark.parametrize(
    "settings", [{"order": 4}, {"num_inference_steps": 2}, {"thresholding": True, "predict_sample": False}]
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        DPMSolver((LINEAR,), **settings)  # type: ignore[arg-type]
