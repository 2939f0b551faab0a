"""Guidance by an embedding: the gradient is that of the predicted clean pair, of size 1, with eps held."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.mmdisco.alignment import Alignment, unit_rms
from mmbench.mmdisco.guidance import JointPredictor
from mmbench.mmdisco.joint_guide import JointGuide
from mmbench.mmdisco.levels import Kind, LevelSchedule, level_of_kind
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


def clean_of(noises: tuple[Tensor, Tensor], t: Tensor) -> Any:
    """From x_t and y_t to the clean pair that these noises say."""

    def clean(noised: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        kept = [abar[t].reshape(-1, *[1] * (z.ndim - 1)) for z, abar in zip(noised, ALPHAS, strict=True)]
        return tuple((z - (1 - k).sqrt() * e) / k.sqrt() for z, e, k in zip(noised, noises, kept, strict=True))

    return clean


def test_the_gradient_is_that_at_the_predicted_clean_pair_of_unit_size() -> None:
    (x, y), t = drawn(), torch.tensor([10, 600])
    noises = epsilon(x, y, t, None)
    found = Alignment(product, (1.0, 1.0)).gradient((x, y), clean_of(noises, t))
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
    both = aligned.gradient((x, y), clean_of(epsilon(x, y, t, None), t))
    one = aligned.gradient((x[1:], y[1:]), clean_of(epsilon(x[1:], y[1:], t, None), t[1:]))
    assert all(torch.equal(a[1:], b) for a, b in zip(both, one, strict=True))
    assert torch.equal(unit_rms(torch.zeros(2, 3)), torch.zeros(2, 3))


def test_the_predictor_lowers_eps_along_the_gradient_where_it_is_told_to() -> None:
    (x, y), t = drawn(), torch.tensor([300, 300])
    predict = JointPredictor(epsilon, ALPHAS, guidance=Alignment(product, (0.2, 0.4), steps=range(1, 9)))
    assert all(torch.equal(a, b) for a, b in zip(predict((x, y), t, 0), epsilon(x, y, t, None), strict=True))
    guided = predict((x, y), t, 1)
    gradient = predict.guidance.gradient((x, y), clean_of(epsilon(x, y, t, None), t))  # type: ignore[union-attr]
    for eps, plain, g, s, abar in zip(guided, epsilon(x, y, t, None), gradient, (0.2, 0.4), ALPHAS, strict=True):
        assert torch.allclose(eps, plain - s * (1 - abar[300]).sqrt() * g)


def test_small_steps_along_it_raise_the_cosine() -> None:
    (x, y), t = drawn(), torch.tensor([300, 300])
    noises = epsilon(x, y, t, None)
    g = Alignment(product, (1.0, 1.0)).gradient((x, y), clean_of(noises, t))

    def agreement(step: float) -> Tensor:
        clean = []
        for z, eps, d, abar in zip((x, y), noises, g, ALPHAS, strict=True):
            sigma = (1 - abar[300]).sqrt()
            clean.append((z - sigma * (eps - step * sigma * d)) / abar[300].sqrt())
        return product(*clean)

    assert (agreement(1e-4) > agreement(0.0)).all()


@pytest.mark.parametrize("kind", ["epsilon", "v", "flow"])
def test_an_embedding_guides_models_of_every_kind_alike(kind: Kind) -> None:
    (x, y), t = drawn(), torch.tensor([300, 300])
    aligned = Alignment(product, (0.2, 0.4))
    guided = JointPredictor(epsilon, ALPHAS, guidance=aligned)((x, y), t, 1)
    levels, latents, predictions = [], [], []
    for z, eps, abar in zip((x, y), epsilon(x, y, t, None), ALPHAS, strict=True):
        a, b = float(abar[300].sqrt()), float((1 - abar[300]).sqrt())
        scale = 1 / (a + b) if kind == "flow" else 1.0
        levels.append(level_of_kind(kind, scale * a, scale * b))
        latents.append(scale * z)
        predictions.append(levels[-1].prediction((z - b * eps) / a, eps))
    schedules = tuple(LevelSchedule([level]) for level in levels)
    guide = JointGuide(aligned, schedules)  # type: ignore[arg-type]
    added = guide.corrections(tuple(latents), tuple(levels), 0, tuple(predictions))  # type: ignore[arg-type]
    for level, z, p, d, eps in zip(levels, latents, predictions, added, guided, strict=True):
        assert d is not None
        assert torch.allclose(level.noise(z, p + d), eps)
