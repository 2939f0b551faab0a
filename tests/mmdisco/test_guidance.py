"""Joint guidance in closed form on Gaussians, classifier-free weights, precision, subsets of steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mmbench.mmdisco.guidance import Guidance, JointPredictor, KeptGradient, join, release_logit
from mmbench.mmdisco.losses import Pair, independent
from mmbench.mmdisco.samplers import SchedulerSampler, make_scheduler, sample_pair
from mmbench.networks.devices import PRECISIONS, precision_switches
from tests.mmdisco.gaussians import (
    ALPHAS_CUMPROD,
    SCHEDULES,
    epsilon_x,
    epsilon_y,
    optimal_logit,
    pairs,
    score_residual,
)

BASE = JointPredictor(independent(epsilon_x, epsilon_y), ALPHAS_CUMPROD)
STATE = pairs(64, torch.Generator().manual_seed(0))
T = torch.randint(0, 1000, (64,), generator=torch.Generator().manual_seed(1))


def assert_pairs_close(got: Pair, want: Pair, **tolerance: float) -> None:
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


def test_optimal_discriminator_gives_the_joint_score() -> None:
    got = replace(BASE, guidance=Guidance(optimal_logit))(STATE, T)
    marginal = -STATE[0], -STATE[1]
    for epsilon, base, residual, abar in zip(got, marginal, score_residual(*STATE, T), ALPHAS_CUMPROD, strict=True):
        joint_score = base + residual
        torch.testing.assert_close(epsilon, -(1 - abar[T]).sqrt()[:, None] * joint_score)
        assert not epsilon.requires_grad


def test_scale_zero_is_the_base_and_scales_are_per_modality() -> None:
    base = BASE(STATE, T)
    zero = replace(BASE, guidance=Guidance(optimal_logit, (0.0, 0.0)))(STATE, T)
    assert torch.equal(zero[0], base[0])
    assert torch.equal(zero[1], base[1])
    one = replace(BASE, guidance=Guidance(optimal_logit))(STATE, T)
    mixed = replace(BASE, guidance=Guidance(optimal_logit, (0.5, 8.0)))(STATE, T)
    for b, o, m, scale in zip(base, one, mixed, (0.5, 8.0), strict=True):
        torch.testing.assert_close(m - b, scale * (o - b))


def test_steps_outside_the_subset_are_the_base_and_cost_nothing() -> None:
    calls: list[int] = []

    def discriminator(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        calls.append(len(x))
        return (x * y).sum(1)

    predict = replace(BASE, guidance=Guidance(discriminator, steps=range(2, 4)))
    base = BASE(STATE, T)
    guided = [not torch.equal(predict(STATE, T, step)[0], base[0]) for step in range(6)]
    assert guided == [False, False, True, True, False, False]
    assert calls == [64, 64]


def counted(sizes: list[int]) -> JointPredictor:
    def discriminator(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        sizes.append(len(x))
        return optimal_logit(x, y, t)

    return replace(BASE, guidance=Guidance(discriminator, (1.0, 2.0)))


def test_a_kept_gradient_gets_the_weight_of_its_own_step() -> None:
    sizes: list[int] = []
    every = counted(sizes)
    assert every.guidance is not None
    kept = replace(every, guidance=replace(every.guidance, every=3), kept=KeptGradient())
    times = [torch.full_like(T, t) for t in (900, 700, 500, 300)]
    first = every.guidance.gradient(*STATE, times[0], ())
    sizes.clear()
    for step, t in enumerate(times):
        state = STATE[0] + step, STATE[1] - step
        got, base = kept(state, t, step), BASE(state, t)
        fresh = every.guidance.gradient(*state, t, ()) if step == 3 else first
        for m, abar in enumerate(ALPHAS_CUMPROD):
            weight = (1.0, 2.0)[m] * (1 - abar[t]).sqrt()[:, None]
            torch.testing.assert_close(got[m], base[m] - weight * fresh[m])
    assert len(sizes) == 2 + 1  # two of the four evaluations, and the comparison


def sampled(guidance: Guidance, steps: int, predict: JointPredictor = BASE) -> tuple[Tensor, ...]:
    makers = tuple(lambda s=s: make_scheduler("dpmsolver++2m", s) for s in SCHEDULES)
    generators = tuple([torch.Generator().manual_seed(i + 100 * m) for i in range(64)] for m in range(2))
    predictor = replace(predict, guidance=guidance, kept=KeptGradient())
    return sample_pair(predictor, [(1,), (1,)], generators, SchedulerSampler(makers, steps))


def test_every_second_gradient_comes_closer_to_every_gradient_with_more_steps() -> None:
    errors = []
    for steps in (10, 40, 160):
        exact, thrifty = (sampled(Guidance(optimal_logit, every=every), steps) for every in (1, 2))
        errors.append(sum((a - b).abs().mean().item() for a, b in zip(exact, thrifty, strict=True)))
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 0


def test_a_run_uses_no_gradient_of_the_run_before() -> None:
    sizes: list[int] = []
    predict = counted(sizes)
    assert predict.guidance is not None
    predict = replace(predict, guidance=replace(predict.guidance, every=100), kept=KeptGradient())
    other = STATE[1], STATE[0]
    for step in range(3):
        predict(other, T, step)
    again, alone = predict(STATE, T, 0), counted([])(STATE, T, 0)
    assert all(torch.equal(a, b) for a, b in zip(again, alone, strict=True))
    assert len(sizes) == 2


def test_gradient_in_every_precision_is_float32_and_as_far_off_as_its_name_says() -> None:
    x, y = torch.randn(2, 8, 1, 64, generator=torch.Generator().manual_seed(2))
    t = torch.zeros(8, dtype=torch.long)
    exact = Guidance(Network().double()).gradient(x.double(), y.double(), t, ())
    got = {p: Guidance(Network(), precision=p).gradient(x, y, t, ()) for p in PRECISIONS}
    errors = {precision: relative_error(pair, exact) for precision, pair in got.items()}
    assert all(half.dtype == torch.float32 for pair in got.values() for half in pair)
    assert errors["ieee"] < 1e-5
    assert 1e-3 < errors["bfloat16"] < 0.1


def test_tf32_is_switched_on_where_it_is_asked_for_whatever_a_user_has_set() -> None:
    switches = precision_switches()
    seen: list[str] = []

    def discriminator(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        seen.extend(switches[name].fp32_precision for name in ("cuda.matmul", "cudnn.conv", "cudnn.rnn"))
        return (x * y).sum(1)

    before = torch.get_float32_matmul_precision()
    try:
        for setting in ("high", "highest"):
            torch.set_float32_matmul_precision(setting)
            for precision in ("tf32", "ieee"):
                Guidance(discriminator, precision=precision).gradient(*STATE, T, ())
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == (["tf32"] * 3 + ["ieee"] * 3) * 2


def text_pair(value: float) -> Pair:
    return torch.full((64, 1), value, dtype=torch.float64), torch.full((64, 1), 2 * value, dtype=torch.float64)


def test_free_guidance_weighs_bases_and_gradient_in_one_call_each() -> None:
    calls: list[tuple[str, int]] = []

    def base(x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        calls.append(("base", len(x)))
        return torch.sin(x + condition)

    def discriminator(x: Tensor, y: Tensor, t: Tensor, text_x: Tensor, text_y: Tensor) -> Tensor:
        calls.append(("discriminator", len(x)))
        return torch.tanh(x * y * text_x + y * text_y)[:, 0]

    text, none = text_pair(1.5), text_pair(-0.5)
    weights = (2.5, 7.5)
    guidance = Guidance(discriminator, (1.0, 8.0), text, none)
    predict = JointPredictor(independent(base, base), ALPHAS_CUMPROD, text, none, weights, guidance)
    got = predict(STATE, T)
    assert calls == [("base", 128), ("base", 128), ("discriminator", 128)]

    def parts(which: Pair) -> tuple[Pair, Pair]:
        gradient = Guidance(discriminator).gradient(*STATE, T, which)
        return (base(STATE[0], T, which[0]), base(STATE[1], T, which[1])), gradient

    (base_c, gradient_c), (base_u, gradient_u) = parts(text), parts(none)
    for m, abar in enumerate(ALPHAS_CUMPROD):
        w, s = weights[m], (1.0, 8.0)[m]
        epsilon = base_u[m] + w * (base_c[m] - base_u[m])
        residual = gradient_u[m] + w * (gradient_c[m] - gradient_u[m])
        torch.testing.assert_close(got[m], epsilon - s * (1 - abar[T]).sqrt()[:, None] * residual)


def test_a_discriminator_without_text_is_not_doubled_under_free_guidance() -> None:
    sizes: list[int] = []

    def discriminator(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        sizes.append(len(x))
        return (x * y).sum(1)

    predict = JointPredictor(
        independent(lambda x, t, c: x * c, lambda y, t, c: y * c),
        ALPHAS_CUMPROD,
        text_pair(1.0),
        text_pair(0.0),
        (3.0, 3.0),
        Guidance(discriminator),
    )
    predict(STATE, T)
    assert sizes == [64]


def test_join_walks_nested_conditions_and_refuses_what_it_cannot_join() -> None:
    a, b = torch.zeros(2, 3), torch.ones(2, 3)
    out = join({"text": a, "more": (a, [b], None), "fps": 8}, {"text": b, "more": (b, [a], None), "fps": 8})
    assert torch.equal(out["text"], torch.cat([a, b]))
    assert torch.equal(out["more"][1][0], torch.cat([b, a]))
    assert out["more"][2] is None
    assert out["fps"] == 8
    with pytest.raises(TypeError, match="cannot join"):
        join({"fps": 8}, {"fps": 16})


def test_release_logit_is_the_logit_until_it_goes_flat() -> None:
    h = torch.linspace(-4, 4, 9, dtype=torch.float64)
    torch.testing.assert_close(release_logit(h), h, rtol=0, atol=6e-4)
    far = torch.tensor([20.0, -20.0], requires_grad=True)
    release_logit(far).sum().backward()
    assert far.grad is not None
    assert (far.grad.abs() < 1e-3).all()  # the plain logit keeps its gradient, 1
    got = replace(BASE, guidance=Guidance(lambda x, y, t: 30 + 0 * x[:, 0] + (x * y)[:, 0], logit=release_logit))(
        STATE, T
    )
    assert_pairs_close(got, BASE(STATE, T), rtol=0, atol=1e-4)


class Network(nn.Module):
    """Convolutions, group norm and SiLU as in the real discriminators."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers: list[nn.Module] = [nn.Conv1d(2, 32, 3, padding=1)]
        for _ in range(4):
            layers += [nn.GroupNorm(8, 32), nn.SiLU(), nn.Conv1d(32, 32, 3, padding=1)]
        self.body, self.head = nn.Sequential(*layers), nn.Linear(32, 1)

    def forward(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        return self.head(self.body(torch.cat([x, y], 1)).mean(2))[:, 0]


def relative_error(got: Pair, exact: Pair) -> float:
    return max(((a.double() - b).norm() / b.norm()).item() for a, b in zip(got, exact, strict=True))


def test_gradient_stays_accurate_when_everything_around_it_is_half_precision() -> None:
    x, y = torch.randn(2, 8, 1, 64, generator=torch.Generator().manual_seed(2))
    t = torch.zeros(8, dtype=torch.long)
    network = Network()
    exact = Guidance(network.double()).gradient(x.double(), y.double(), t, ())
    network.float()
    with torch.autocast("cpu", torch.bfloat16):
        ours = Guidance(network).gradient(x, y, t, ())
        leaves = x.clone().requires_grad_(), y.clone().requires_grad_()
        rough = torch.autograd.grad(network(*leaves, t).sum(), leaves)
    assert ours[0].dtype == torch.float32
    assert relative_error(ours, exact) < 1e-5
    assert relative_error(rough, exact) > 1e-3


def test_tensor_float_32_is_off_for_the_gradient_and_restored_after_errors() -> None:
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [switch.fp32_precision for switch in switches]
    seen = []

    def discriminator(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        seen.extend(switch.fp32_precision for switch in switches)
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        Guidance(discriminator).gradient(*STATE, T, ())
    assert seen == ["ieee", "ieee"]
    assert [switch.fp32_precision for switch in switches] == before


def test_bases_run_in_the_asked_precision_and_are_combined_in_float32() -> None:
    seen: list[torch.dtype] = []
    layer = nn.Linear(1, 1)

    def base(x: Tensor, t: Tensor, condition: object) -> Tensor:
        out = layer(x)
        seen.append(out.dtype)
        return out

    predict = JointPredictor(
        independent(base, base), ALPHAS_CUMPROD, guidance=Guidance(optimal_logit), dtype=torch.bfloat16
    )
    x, y = STATE
    out = predict((x.float(), y.float()), T)
    assert seen == [torch.bfloat16, torch.bfloat16]
    assert [z.dtype for z in out] == [torch.float32, torch.float32]
