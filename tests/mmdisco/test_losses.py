"""The losses against closed forms on Gaussians, finite differences, and the roles of their arguments."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mmbench.errors import UsageError
from mmbench.mmdisco.losses import (
    Noised,
    add_noise,
    denoising_loss,
    discrimination_loss,
    drop_text,
    independent,
    logit_and_gradient,
    mmdisco_losses,
)
from mmbench.mmdisco.schedule import NoiseSchedule, betas
from tests.mmdisco.gaussians import (
    ALPHAS_CUMPROD,
    correlation,
    epsilon_x,
    epsilon_y,
    optimal_logit,
    pairs,
    score_residual,
)

BASES = independent(epsilon_x, epsilon_y)


def noised(n: int, seed: int, rho: float, low: int = 0, high: int = 1000) -> Noised:
    g = torch.Generator().manual_seed(seed)
    sample = pairs(n, g, rho)
    return Noised(sample, pairs(n, g, 0.0), torch.randint(low, high, (n,), generator=g))


def losses(discriminator: object, n: int = 100_000, **weights: float):
    real, fake = noised(n, 1, 0.8), noised(n, 2, 0.0)
    return mmdisco_losses(discriminator, BASES, ALPHAS_CUMPROD, real, fake, **weights)  # type: ignore[arg-type]


def test_gradient_of_the_optimal_logit_is_the_score_residual() -> None:
    real = noised(500, 0, 0.8)
    x_t, y_t = real.at(ALPHAS_CUMPROD)
    _, gradient = logit_and_gradient(optimal_logit, x_t, y_t, real.t, (), create_graph=False)
    for got, want in zip(gradient, score_residual(x_t, y_t, real.t), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("step", [50, 300, 800])
def test_denoising_loss_at_the_optimum_is_the_posterior_variance_of_the_noise(step: int) -> None:
    real = noised(200_000, step, 0.8, step, step + 1)
    got = mmdisco_losses(optimal_logit, BASES, ALPHAS_CUMPROD, real, real, weight_discrimination=0).denoising
    precision = 1 / (1 - correlation(real.t[:1]) ** 2)  # of x_t given y_t: the diagonal of the inverse covariance
    want = sum(1 - (1 - abar[step]) * precision for abar in ALPHAS_CUMPROD)
    assert got.item() == pytest.approx(float(want), rel=0.01)


@pytest.mark.parametrize(
    "perturbation",
    [
        lambda x, y, t: (x * y)[:, 0],
        lambda x, y, t: (x * x + 2 * y)[:, 0],
        lambda x, y, t: torch.sin(3 * x - y)[:, 0] * (t / 1000),
        lambda x, y, t: (x + y)[:, 0],
    ],
)
@pytest.mark.parametrize("term", ["discrimination", "denoising"])
def test_both_losses_are_least_at_the_optimal_discriminator(term: str, perturbation: object) -> None:
    def value(size: float) -> float:
        return getattr(losses(lambda x, y, t: optimal_logit(x, y, t) + size * perturbation(x, y, t)), term).item()  # type: ignore[operator]

    best, up, down = value(0.0), value(0.2), value(-0.2)
    slope, curvature = (up - down) / 0.4, (up + down - 2 * best) / 0.04
    assert up > best
    assert down > best
    assert abs(slope) < 0.06 * curvature * 0.5  # zero up to the error of 200,000 samples: the minimum lies at 0


def test_constant_offset_raises_only_the_discrimination_loss() -> None:
    best, moved = losses(optimal_logit, 20_000), losses(lambda x, y, t: optimal_logit(x, y, t) + 0.5, 20_000)
    assert moved.denoising.item() == pytest.approx(best.denoising.item(), rel=1e-12)
    assert moved.discrimination.item() > best.discrimination.item()


def test_a_discriminator_that_knows_nothing_costs_two_log_two() -> None:
    zero = torch.zeros(7)
    assert float(discrimination_loss(zero, zero)) == pytest.approx(2 * math.log(2))


def test_discrimination_loss_is_finite_and_linear_where_sigmoid_saturates() -> None:
    h = torch.tensor([1000.0], requires_grad=True)
    loss = discrimination_loss(-h, h)
    loss.backward()
    assert loss.item() == 2000.0
    assert h.grad is not None
    assert h.grad.item() == 2.0
    assert discrimination_loss(h, -h).item() == 0.0


class Tiny(nn.Module):
    """A smooth discriminator; grad h depends on all but the last bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()

    def forward(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        return self.layers(torch.cat([x, y, t[:, None] / 1000], 1))[:, 0]


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.5, 3.0)])
def test_parameter_gradient_equals_finite_differences(weights: tuple[float, float]) -> None:
    model = Tiny()
    keywords = {"weight_discrimination": weights[0], "weight_denoising": weights[1]}
    losses(model, 64, **keywords).total.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            for index in range(parameter.numel()):
                flat, step = parameter.view(-1), 1e-6
                flat[index] += step
                up = losses(model, 64, **keywords).total.item()
                flat[index] -= 2 * step
                down = losses(model, 64, **keywords).total.item()
                flat[index] += step
                got = 0.0 if parameter.grad is None else parameter.grad.view(-1)[index].item()
                assert got == pytest.approx((up - down) / (2 * step), abs=1e-7)


def test_no_gradient_reaches_the_base_models_and_weight_zero_never_calls_them() -> None:
    scale = torch.ones((), requires_grad=True, dtype=torch.float64)
    real, fake = noised(8, 0, 0.8), noised(8, 1, 0.0)
    base = independent(lambda x, t, c: scale * x, lambda y, t, c: scale * y)
    mmdisco_losses(Tiny(), base, ALPHAS_CUMPROD, real, fake).total.backward()
    assert scale.grad is None
    gradient = (torch.ones(8, 1), torch.ones(8, 1))
    assert not denoising_loss(
        gradient, (scale.float() * gradient[0],) * 2, gradient, (torch.ones(8),) * 2
    ).requires_grad

    def never(*arguments: object) -> tuple[Tensor, Tensor]:
        raise AssertionError("called")

    assert mmdisco_losses(Tiny(), never, ALPHAS_CUMPROD, real, fake, weight_denoising=0).denoising is None


def test_both_weights_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        losses(Tiny(), 4, weight_discrimination=0, weight_denoising=0)


def test_each_modality_is_noised_under_its_own_schedule() -> None:
    t = torch.tensor([0, 999])
    ones = torch.ones(2, 1, 2)
    x_t, y_t = Noised((ones, ones), (2 * ones, 2 * ones), t).at(ALPHAS_CUMPROD)
    for got, abar in ((x_t, ALPHAS_CUMPROD[0]), (y_t, ALPHAS_CUMPROD[1])):
        want = abar[t].sqrt() + 2 * (1 - abar[t]).sqrt()
        torch.testing.assert_close(got, want[:, None, None].float().expand(2, 1, 2))
    assert not torch.equal(x_t, y_t)
    torch.testing.assert_close(add_noise(ones, 5 * ones, torch.ones(2)), ones)


def test_text_and_condition_reach_whom_they_are_for() -> None:
    real = Noised(
        *[pairs(2, torch.Generator(), 0.0)] * 2,
        torch.zeros(2, dtype=torch.long),
        ("cx", "cy"),
        (torch.ones(2), torch.zeros(2)),
    )
    seen: list[object] = []
    base = independent(lambda x, t, c: seen.append(c) or x, lambda y, t, c: seen.append(c) or y)  # type: ignore[func-returns-value]

    def discriminator(x: Tensor, y: Tensor, t: Tensor, text_x: Tensor, text_y: Tensor) -> Tensor:
        seen.append((text_x.sum().item(), text_y.sum().item()))
        return (x * y).sum(1)

    mmdisco_losses(discriminator, base, ALPHAS_CUMPROD, real, real)
    assert seen == ["cx", "cy", (2.0, 0.0), (2.0, 0.0)]


def test_drop_text_replaces_whole_samples_of_any_rank() -> None:
    drop = torch.tensor([True, False, True])
    for shape in ((3,), (3, 4)):
        text, none = torch.ones(3, *shape[1:]), torch.zeros(shape[1:])
        assert torch.equal(drop_text(text, none, drop).reshape(3, -1)[:, 0], torch.tensor([0.0, 1.0, 0.0]))


def test_schedules() -> None:
    linear, scaled = NoiseSchedule("linear", 1e-4, 0.02, 500), NoiseSchedule("scaled_linear", 0.00085, 0.012)
    assert linear.betas.dtype == torch.float64
    assert linear.betas.shape == (500,)
    assert (linear.betas[0].item(), linear.betas[-1].item()) == pytest.approx((1e-4, 0.02), rel=1e-14)
    assert scaled.alphas_cumprod[501].item() == pytest.approx(0.275, abs=5e-4)  # VideoCrafter2's own schedule
    plain = NoiseSchedule("linear", 0.00085, 0.012).alphas_cumprod  # what the release samples it on
    assert plain[501].item() == pytest.approx(0.160, abs=5e-4)
    with pytest.raises(UsageError, match="Unknown noise schedule"):
        betas("quadratic", 10, 0.1, 0.2)  # type: ignore[arg-type]
