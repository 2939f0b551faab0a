"""Guidance by an embedding: the gradient is that of the predicted clean pair, of size 1, with eps held."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmbench.mmdisco.alignment import Alignment, unit_rms
from mmbench.mmdisco.guidance import JointPredictor
from mmbench.mmdisco.schedule import NoiseSchedule

ALPHAS = tuple(NoiseSchedule("scaled_linear", a, b).alphas_cumprod for a, b in ((0.00085, 0.012), (0.0015, 0.0195)))


def drawn(n: int = 2) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, 2, 3, generator=g, dtype=torch.float64), torch.randn(n, 4, generator=g, dtype=torch.float64)


def product(x: Tensor, y: Tensor) -> Tensor:
    """(sum x) * (sum y^3) of each pair: its gradient depends on both."""
    return x.flatten(1).sum(1) * y.pow(3).flatten(1).sum(1)


def epsilon(x: Tensor, y: Tensor, t: Tensor, condition: None) -> tuple[Tensor, Tensor]:
    return 0.5 * x, 0.25 * y


def test_the_gradient_is_that_at_the_predicted_clean_pair_of_unit_size() -> None:
    (x, y), t = drawn(), torch.tensor([10, 600])
    noises = epsilon(x, y, t, None)
    found = Alignment(product, (1.0, 1.0)).gradient((x, y), noises, t, ALPHAS)
    clean = []
    for z, eps, abar in zip((x, y), noises, ALPHAS, strict=True):
        kept = abar[t].reshape(-1, *[1] * (z.ndim - 1))
        clean.append((z - (1 - kept).sqrt() * eps) / kept.sqrt())
    cubes, squares = clean[1].pow(3).sum(1), 3 * clean[1].pow(2)
    by_hand = cubes[:, None, None].expand_as(x), clean[0].sum((1, 2))[:, None] * squares  # up to positive factors
    for ours, theirs in zip(found, by_hand, strict=True):
        assert ours.square().flatten(1).mean(1) == pytest.approx(torch.ones(2, dtype=torch.float64))
        assert torch.allclose(
            ours, theirs / theirs.square().flatten(1).mean(1).sqrt().reshape(-1, *[1] * (ours.ndim - 1))
        )


def test_a_sample_does_not_know_its_batch_and_a_flat_cosine_guides_nothing() -> None:
    (x, y), t = drawn(), torch.tensor([300, 300])
    aligned = Alignment(product, (1.0, 1.0))
    both = aligned.gradient((x, y), epsilon(x, y, t, None), t, ALPHAS)
    one = aligned.gradient((x[1:], y[1:]), epsilon(x[1:], y[1:], t, None), t[1:], ALPHAS)
    assert all(torch.equal(a[1:], b) for a, b in zip(both, one, strict=True))
    assert torch.equal(unit_rms(torch.zeros(2, 3)), torch.zeros(2, 3))


def test_the_predictor_lowers_eps_along_the_gradient_where_it_is_told_to() -> None:
    (x, y), t = drawn(), torch.tensor([300, 300])
    predict = JointPredictor(epsilon, ALPHAS, guidance=Alignment(product, (0.2, 0.4), steps=range(1, 9)))
    assert all(torch.equal(a, b) for a, b in zip(predict((x, y), t, 0), epsilon(x, y, t, None), strict=True))
    guided = predict((x, y), t, 1)
    gradient = predict.guidance.gradient((x, y), epsilon(x, y, t, None), t, ALPHAS)  # type: ignore[union-attr]
    for eps, plain, g, s, abar in zip(guided, epsilon(x, y, t, None), gradient, (0.2, 0.4), ALPHAS, strict=True):
        assert torch.allclose(eps, plain - s * (1 - abar[300]).sqrt() * g)


def test_small_steps_along_it_raise_the_cosine() -> None:
    (x, y), t = drawn(), torch.tensor([300, 300])
    noises = epsilon(x, y, t, None)
    g = Alignment(product, (1.0, 1.0)).gradient((x, y), noises, t, ALPHAS)

    def agreement(step: float) -> Tensor:
        clean = []
        for z, eps, d, abar in zip((x, y), noises, g, ALPHAS, strict=True):
            sigma = (1 - abar[300]).sqrt()
            clean.append((z - sigma * (eps - step * sigma * d)) / abar[300].sqrt())
        return product(*clean)

    assert (agreement(1e-4) > agreement(0.0)).all()
