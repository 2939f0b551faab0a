"""Noise levels: every kind of prediction stands for the same noise, and one number lets a gradient into it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from mmbench.errors import UsageError
from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.levels import KINDS, Kind, Level, LevelSchedule, level_of_kind
from mmbench.types import DESIGNS

PLACES: dict[Kind, list[tuple[float, float]]] = {
    kind: [(1.0, b) for b in (0.3, 14.6, 500.0)]
    if kind.startswith("edm")
    else [(1 - s, s) for s in (0.02, 0.5, 0.97)]
    if "flow" in kind
    else [(math.cos(x), math.sin(x)) for x in (0.1, 0.8, 1.5)] + [(1.0, 3.0)]
    for kind in KINDS
}
TARGETS = {  # what a network is trained to give, of (x_0, eps, level)
    "epsilon": lambda x_0, eps, z: eps,
    "sample": lambda x_0, eps, z: x_0,
    "v": lambda x_0, eps, z: (z.a * eps - z.b * x_0) / z.scale,
    "flow": lambda x_0, eps, z: eps - x_0,
    "inverse_flow": lambda x_0, eps, z: x_0 - eps,
    "edm_v": lambda x_0, eps, z: (z.a * eps - z.b * x_0) / z.scale,
    "edm_epsilon": lambda x_0, eps, z: (x_0 - x_t_of(x_0, eps, z) / (z.b**2 + 1)) / (z.b / math.hypot(z.b, 1)),
}


def x_t_of(x_0: Any, eps: Any, z: Level) -> Any:
    return z.a * x_0 + z.b * eps


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_stands_for_the_clean_sample_and_the_noise_it_was_made_of(kind: Kind) -> None:
    x_0, eps = torch.randn(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for a, b in PLACES[kind]:
        level = level_of_kind(kind, a, b)
        p = TARGETS[kind](x_0, eps, level)
        torch.testing.assert_close(level.prediction(x_0, eps), p, rtol=1e-9, atol=1e-9)
        for got, want in zip(level.split(x_t_of(x_0, eps, level), p), (x_0, eps), strict=True):
            torch.testing.assert_close(got, want, rtol=0, atol=1e-9 * max(1, b / a))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gain_is_what_moves_the_noise_by_the_score(kind: Kind) -> None:
    """eps_hat = eps - b grad h, whatever is predicted: p_hat = p + gain grad h says the same."""
    x_t, p, gradient = torch.randn(3, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for a, b in PLACES[kind]:
        level = level_of_kind(kind, a, b)
        guided = level.noise(x_t, p + level.gain * gradient)
        torch.testing.assert_close(guided, level.noise(x_t, p) - b * gradient, rtol=1e-9, atol=1e-9)


def test_gains_are_those_of_the_derivation() -> None:
    assert level_of_kind("epsilon", 0.6, 0.8).gain == pytest.approx(-0.8)
    assert level_of_kind("v", 0.6, 0.8).gain == pytest.approx(-0.8 / 0.6)
    assert level_of_kind("flow", 0.25, 0.75).gain == pytest.approx(-3.0)
    assert level_of_kind("inverse_flow", 0.25, 0.75).gain == pytest.approx(3.0)
    assert level_of_kind("sample", 0.6, 0.8).gain == pytest.approx(0.64 / 0.6)
    assert level_of_kind("edm_v", 1.0, 3.0).gain == pytest.approx(-3.0 * 10**0.5)


def test_the_first_step_of_published_grids_is_not_guided() -> None:
    assert not level_of_kind("flow", 1e-6, 1 - 1e-6).guidable  # UniPC with shift 3, as Wan's
    assert not level_of_kind("v", 0.0, 1.0).guidable  # zero terminal SNR
    assert level_of_kind("edm_v", 1.0, 500.0).guidable  # Stable Audio's first step has signal enough
    assert level_of_kind("epsilon", 0.07, 0.9975).guidable
    assert level_of_kind("epsilon", 0.0, 1.0).noise(torch.ones(2), torch.full((2,), 3.0)).tolist() == [3.0, 3.0]


def test_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="velocity"):
        level_of_kind("velocity", 0.5, 0.5)  # type: ignore[arg-type]


def test_a_sampler_s_level_has_a_place_among_those_of_training() -> None:
    levels = [level_of_kind("flow", 1 - s, s) for s in torch.linspace(0.001, 1, 1000, dtype=torch.float64).tolist()]
    schedule = LevelSchedule(levels, "flow")
    assert [schedule.place(levels[i]) for i in (0, 500, 999)] == [0.0, 500.0, 999.0]
    between = level_of_kind("epsilon", 1 - 0.50025, 0.50025)  # of another kind and in between
    assert 499 < schedule.place(between) < 500
    assert schedule.place(level_of_kind("flow", 1.0, 0.0)) == 0.0
    assert (schedule.alphas_cumprod.diff() < 0).all()
    assert schedule.record()["digest"] != LevelSchedule(levels[:-1], "flow").record()["digest"]


@pytest.mark.parametrize("text", [None, 12])
@pytest.mark.parametrize("design", DESIGNS)
def test_a_discriminator_takes_a_time_for_each_half(design: Any, text: int | None) -> None:
    sizes = {"channels": 32, "num_blocks": 1, "channel_mult": (1, 2), "embed_channels": 32}
    sizes |= {"fusion_channels": 32, "fusion_layers": 1, "fusion_out_channels": 32, "video_size": (4, 8, 8)}
    sizes |= {"vit_channels": 32, "vit_layers": 1, "vit_heads": 2, "vit_out_channels": 32, "audio_size": (8, 8)}
    sizes |= {"video_patch": (2, 4, 4), "audio_patch": (2, 4)}
    texts = {"video_text_channels": text, "audio_text_channels": text}
    torch.manual_seed(0)
    model = Discriminator(DiscriminatorConfig(design, 4, 3, 2, **sizes, **texts))  # type: ignore[arg-type]
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.1)
    video, audio, t = torch.randn(3, 4, 4, 8, 8), torch.randn(3, 3, 8, 8), torch.tensor([3, 500, 999])
    states = (torch.randn(3, 5, 12), torch.randn(3, 5, 12)) if text else ()
    with torch.no_grad():
        one, same = model(video, audio, t, *states), model(video, audio, (t, t), *states)
        video_moved, audio_moved = (model(video, audio, p, *states) for p in ((t.flip(0), t), (t, t.flip(0))))
    assert torch.equal(one, same)
    assert not torch.equal(one, video_moved)
    assert not torch.equal(one, audio_moved)
    assert not torch.equal(audio_moved, video_moved)
