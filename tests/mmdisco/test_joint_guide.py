"""Guidance of two models at levels of their own: the same as `JointPredictor` where both say the same."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.mmdisco.guidance import Guidance, JointPredictor
from mmbench.mmdisco.joint_guide import JointGuide
from mmbench.mmdisco.levels import Kind, Level, LevelSchedule, level_of_kind
from mmbench.mmdisco.schedule import NoiseSchedule

VIDEO, AUDIO = NoiseSchedule("scaled_linear", 0.00085, 0.012), NoiseSchedule("linear", 1e-4, 0.02)
SCALE = (2.0, 0.5)
UNUSED = torch.empty(0), torch.empty(0)  # predictions, which a discriminator does not look at


def levels_of(schedule: NoiseSchedule, kind: Kind = "epsilon") -> LevelSchedule:
    abars = schedule.alphas_cumprod.tolist()
    return LevelSchedule([level_of_kind(kind, abar**0.5, (1 - abar) ** 0.5) for abar in abars])


def logit(x: Tensor, y: Tensor, t: Any, *text: Tensor) -> Tensor:
    """Depends on both halves, on both times and, if there is text, on that."""
    video, audio = t if isinstance(t, tuple) else (t, t)
    h = (x * y).sum(1) + (1e-3 * video * x[:, 0].sin()) + (2e-3 * audio * y[:, 1].cos())
    return h + sum((text[k] * z).sum(1) for k, z in enumerate((x, y)) if text)


def draws(seed: int = 0) -> list[Tensor]:
    return list(torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("text", [False, True])
def test_two_epsilon_models_at_one_timestep_are_guided_as_ever(text: bool) -> None:
    x, y, *_ = draws()
    states = (torch.ones(3, 5), torch.full((3, 5), 2.0)) if text else ()
    empty = tuple(torch.zeros_like(z) for z in states)
    guidance = Guidance(logit, SCALE, states, empty)
    free = (3.0, 2.0) if text else None
    abars = VIDEO.alphas_cumprod, AUDIO.alphas_cumprod
    predictor = JointPredictor(lambda *_: (torch.zeros_like(x), torch.zeros_like(y)), abars, guidance=guidance)
    predictor = replace(predictor, free_scale=free, condition=states or None, unconditional=empty or None)
    if text:
        predictor = replace(predictor, epsilon=lambda a, b, t, c: (torch.zeros_like(a), torch.zeros_like(b)))
    want = predictor((x, y), torch.full((3,), 700))
    guide = JointGuide(guidance, (levels_of(VIDEO), levels_of(AUDIO)), free)
    got = guide.corrections((x, y), (guide.schedules[0].levels[700], guide.schedules[1].levels[700]), 0, UNUSED)
    for a, b in zip(got, want, strict=True):
        assert a is not None
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "a", "b"), [("flow", 0.3, 0.7), ("inverse_flow", 0.3, 0.7), ("edm_v", 1.0, 9.0)])
def test_every_kind_is_moved_by_the_same_noise(kind: Kind, a: float, b: float) -> None:
    """The guided noise of a model of any kind and scale is that of the epsilon model at the same level."""
    x, y, p, _ = (z.double() for z in draws())
    c = math.hypot(a, b)
    other, plain = level_of_kind(kind, a, b), level_of_kind("epsilon", a / c, b / c)
    audio = levels_of(AUDIO).levels[300]
    guidance = Guidance(logit, SCALE)

    def noise(level: Level, scale: float) -> Tensor:
        schedule = LevelSchedule([level_of_kind("epsilon", math.cos(z), math.sin(z)) for z in (0.1, 0.8, 1.5)])
        guide = JointGuide(guidance, (schedule, levels_of(AUDIO)))
        moved, _ = guide.corrections((scale * x, y), (level, audio), 0, UNUSED)
        assert moved is not None
        base = level.prediction((x - plain.b * p) / plain.a, p)  # of the same x_0 and eps
        return level.noise(scale * x, base + moved)

    torch.testing.assert_close(noise(other, c), noise(plain, 1.0), rtol=1e-6, atol=1e-6)


def test_a_half_without_signal_is_not_guided_and_the_other_is() -> None:
    x, y, *_ = draws()
    flow = LevelSchedule([level_of_kind("flow", 1 - s, s) for s in (0.01, 0.5, 1.0)])
    guide = JointGuide(Guidance(logit, SCALE), (flow, levels_of(AUDIO)))
    video, audio = guide.corrections((x, y), (flow.levels[-1], guide.schedules[1].levels[990]), 0, UNUSED)
    assert video is None
    assert audio is not None
    assert bool(audio.any())
    assert guide.corrections((x, y), (flow.levels[-1],) * 2, 0, UNUSED) == (None, None)


def test_each_half_is_told_its_own_place() -> None:
    x, y, *_ = draws()
    seen: list[Any] = []

    def noting(x: Tensor, y: Tensor, t: Any) -> Tensor:
        seen.append(t)
        return logit(x, y, t)

    guide = JointGuide(Guidance(noting), (levels_of(VIDEO), levels_of(AUDIO)))
    video, audio = (schedule.levels for schedule in guide.schedules)
    guide.corrections((x, y), (video[400], audio[400]), 0, UNUSED)
    guide.corrections((x, y), (video[400], audio[10]), 1, UNUSED)
    assert seen[0].tolist() == [400.0] * 3
    assert [t.tolist() for t in seen[1]] == [[400.0] * 3, [10.0] * 3]


def test_sparse_gradients_are_used_again_with_the_weight_of_their_own_level() -> None:
    x, y, *_ = draws()
    guidance = Guidance(logit, SCALE, every=2)
    schedules = levels_of(VIDEO), levels_of(AUDIO)
    levels = [tuple(schedule.levels[t] for schedule in schedules) for t in (900, 500)]
    kept, fresh = JointGuide(guidance, schedules), JointGuide(replace(guidance, every=1), schedules)
    first = kept.corrections((x, y), levels[0], 0, UNUSED)[0]  # type: ignore[arg-type]
    again = kept.corrections((x + 1, y), levels[1], 1, UNUSED)[0]  # type: ignore[arg-type]
    assert first is not None
    assert again is not None
    torch.testing.assert_close(again, first * levels[1][0].gain / levels[0][0].gain)
    assert not torch.equal(again, fresh.corrections((x + 1, y), levels[1], 1, UNUSED)[0])  # type: ignore[arg-type]
