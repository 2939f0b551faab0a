"""Two pipelines in lockstep: without a discriminator nothing changes, and an exact one has its exact effect."""

from __future__ import annotations

import copy
import inspect
import itertools
import signal
import threading
from functools import cache
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco import lockstep
from mmbench.mmdisco.course import Half, Step
from mmbench.mmdisco.guidance import Guidance
from mmbench.mmdisco.joint_guide import Corrections, JointGuide
from mmbench.mmdisco.levels import LevelSchedule, level_of_kind
from mmbench.mmdisco.lockstep import Path, add_correction, corrections_of, generate
from mmbench.mmdisco.scheduler_levels import last_level
from tests.mmdisco.pipelines import AUDIO, VIDEO, first, guided, half, made, plain, zeros

PAIRS = list(itertools.product(VIDEO, AUDIO))


@cache
def alone(name: str, steps: int, **call: Any) -> Tensor:
    return plain(half(name, steps, **call))


@pytest.mark.parametrize(("video", "audio"), PAIRS)
def test_without_a_discriminator_both_make_what_they_make_alone(video: str, audio: str) -> None:
    state = torch.get_rng_state()
    outputs = generate((half(video, 7, output_type="np"), half(audio, 4, output_type="np")), zeros)
    for name, steps, output in zip((video, audio), (7, 4), outputs, strict=True):
        assert torch.equal(first(output), alone(name, steps, output_type="np"))
    latents = generate((half(video), half(audio)), zeros, latents_only=True)
    for name, got in zip((video, audio), latents, strict=True):
        if name != "AudioLDMPipeline":  # which decodes whatever it is asked for
            assert torch.equal(got, alone(name, 4, output_type="latent"))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("video", "audio"),
    [("WanPipeline", "StableAudioPipeline"), ("CogVideoXPipeline", "AudioLDM2Pipeline"), ("LTXPipeline", AUDIO[3])],
)
def test_without_a_discriminator_in_bfloat16(video: str, audio: str) -> None:
    pipes = {name: made.__wrapped__(name)[0].to(torch.bfloat16) for name in (video, audio)}

    def reduced(name: str) -> Half:
        return Half(pipes[name], half(name, output_type="latent").call)

    ours = generate((reduced(video), reduced(audio)), zeros)
    for name, got in zip((video, audio), ours, strict=True):
        assert torch.equal(first(got), plain(reduced(name)))


def test_without_a_discriminator_by_a_stochastic_solver_of_another_signature() -> None:
    """CogVideoX's DPM-Solver is stepped as (prediction, last x_0, t, last t, latents)."""
    own = half("CogVideoXPipeline", output_type="latent")
    pipe = copy.copy(own.pipe)
    pipe.register_modules(scheduler=diffusers.CogVideoXDPMScheduler.from_config(own.pipe.scheduler.config))

    def called() -> Half:
        return Half(pipe, half("CogVideoXPipeline", 5, output_type="latent").call)

    assert torch.equal(first(generate((called(), half("LongCatAudioDiTPipeline")), zeros)[0]), plain(called()))


# Shift of the mean that 20 steps reach, of 1: what signal the first level has is not shifted, and steps are finite.
SHIFTS = {
    "WanPipeline": 0.991,
    "LTXPipeline": 0.974,
    "CogVideoXPipeline": 0.988,
    "AnimateDiffPipeline": 0.915,
    "MochiPipeline": 0.998,
    "StableAudioPipeline": 1.000,
    "AudioLDM2Pipeline": 0.982,
    "LongCatAudioDiTPipeline": 0.951,
    "StableAudio3Pipeline": 0.997,
    "AudioLDMPipeline": 0.982,
}


@pytest.mark.parametrize(("video", "audio"), zip(VIDEO, AUDIO, strict=True))
def test_a_linear_logit_shifts_an_exact_base_by_its_mean(video: str, audio: str) -> None:
    """h = the log ratio of N(mu, 1) to N(0, 1), noised: grad h = sqrt(abar) mu, in the pipelines' own loops."""

    def shift(*means: float) -> list[Tensor]:
        def correct(steps: tuple[Step, Step]) -> Corrections:
            one, two = (guided(s, mu * s.level.alpha_cumprod**0.5) for s, mu in zip(steps, means, strict=True))
            return one, two

        return generate((half(video, 20, guidance=1.0), half(audio, 20, guidance=1.0)), correct, latents_only=True)

    means = (1.0, -0.7)
    for name, mu, moved, base in zip((video, audio), means, shift(*means), shift(0.0, 0.0), strict=True):
        share = (moved - base) / mu
        assert share.std() < 2e-6
        assert share.mean().item() == pytest.approx(SHIFTS[name], abs=0.002)


@pytest.mark.parametrize(
    ("video", "audio", "steps", "path"),
    [
        ("WanPipeline", "StableAudioPipeline", (30, 30), "fraction"),
        ("LTXPipeline", "LongCatAudioDiTPipeline", (30, 30), "fraction"),
        ("CogVideoXPipeline", "StableAudio3Pipeline", (30, 30), "fraction"),
        ("WanPipeline", "LongCatAudioDiTPipeline", (40, 15), "fraction"),
        ("WanPipeline", "StableAudioPipeline", (30, 30), "log_snr"),
        ("WanPipeline", "StableAudioPipeline", (30, 30), "video_first"),
        ("WanPipeline", "StableAudioPipeline", (30, 30), "audio_first"),
    ],
)
def test_exact_guidance_reaches_a_correlation(video: str, audio: str, steps: tuple[int, int], path: Path) -> None:
    """h = the log ratio of a Gaussian with correlation 0.8 between 240 elements of either latents, noised."""
    n, elements, correlation = 4, 240, 0.8

    def correct(both: tuple[Step, Step]) -> Corrections:
        r = correlation * (both[0].level.alpha_cumprod * both[1].level.alpha_cumprod) ** 0.5
        leaves = [(s.sample.float() / s.level.scale).requires_grad_() for s in both]
        with torch.enable_grad():
            x, y = (leaf.flatten(1)[:, :elements] for leaf in leaves)
            h = -((r * x) ** 2 - 2 * r * x * y + (r * y) ** 2).sum() / (2 * (1 - r * r))
            gradients = torch.autograd.grad(h, leaves)
        one, two = (guided(s, g) for s, g in zip(both, gradients, strict=True))
        return one, two

    halves = (half(video, steps[0], n, guidance=1.0), half(audio, steps[1], n, guidance=1.0))
    ends = generate(halves, correct, path, latents_only=True)
    x, y = (z.float().flatten(1)[:, :elements].flatten() for z in ends)
    reached = torch.corrcoef(torch.stack([x, y]))[0, 1].item()
    assert reached == pytest.approx(correlation, abs=0.06)  # two standard errors are 0.023, 30 steps add up to 0.05
    assert x.std().item() == pytest.approx(1.0, abs=0.1)
    assert y.std().item() == pytest.approx(1.0, abs=0.1)


WALKS = {
    "fraction": [(0, 0), (1, 1), (2, 1), (2, 2), (3, 2), (4, 2), (4, 3), (5, 3), (6, 3), (6, 4)],
    "video_first": [(i, 0) for i in range(8)] + [(7, 1), (7, 2), (7, 3)],
    "audio_first": [(0, i) for i in range(5)] + [(i, 4) for i in range(1, 7)],
}


@pytest.mark.parametrize("path", WALKS)
def test_a_path_says_which_half_moves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[tuple[int, int]] = []
    turns: list[int] = []
    reports: list[tuple[int, int]] = []
    monkeypatch.setattr(lockstep, "report_step", lambda *report: reports.append(report))

    def correct(steps: tuple[Step, Step]) -> Corrections:
        met.append((steps[0].number, steps[1].number))
        for step in steps:
            assert step.level.b > 0 or step.number == step.total
        return None, None

    generate((half("LTXPipeline", 7), half("LongCatAudioDiTPipeline", 4)), correct, path, turns.append, True)
    assert met == WALKS[path]
    assert [turns.count(i) for i in (0, 1)] == [7 + 1, 4 + 1]  # one of them leads to the first step
    assert reports == [(sum(pair), 11) for pair in met]


def test_by_log_snr_the_noisier_half_moves() -> None:
    def correct(steps: tuple[Step, Step]) -> Corrections:
        met.append((steps[0].level.log_snr, steps[1].level.log_snr, steps[0].number, steps[1].number))
        return None, None

    met: list[tuple[float, float, int, int]] = []
    generate((half("LTXPipeline", 7), half("StableAudioPipeline", 4)), correct, "log_snr", latents_only=True)
    for (video, audio, i, j), (_, _, i_next, j_next) in itertools.pairwise(met):
        assert (i_next > i) == (video <= audio)
        assert (j_next > j) == (audio <= video)


def test_a_half_that_has_ended_is_shown_clean() -> None:
    shown: list[Step] = []

    def correct(steps: tuple[Step, Step]) -> Corrections:
        shown.append(steps[0])
        return None, None

    halves = (half("AnimateDiffPipeline"), half("StableAudio3Pipeline"))
    ends = generate(halves, correct, "video_first", latents_only=True)
    assert torch.equal(shown[-1].sample, ends[0])
    assert shown[-1].level == last_level(halves[0].pipe.scheduler)
    assert (shown[-1].number, shown[-1].total) == (4, 4)


def test_a_joint_guide_is_asked_at_the_latents_and_levels_of_both() -> None:
    """A linear logit through `JointGuide`: the same latents as by adding gain grad h."""
    base = generate((half("WanPipeline"), half("StableAudioPipeline")), latents_only=True)
    weights = [torch.randn(z.shape, generator=torch.Generator().manual_seed(3)) for z in base]

    def logit(x: Tensor, y: Tensor, t: Any) -> Tensor:
        return (x * weights[0]).flatten(1).sum(1) + (y * weights[1]).flatten(1).sum(1)

    schedule = LevelSchedule([level_of_kind("flow", 1 - s / 10, s / 10) for s in range(1, 11)])
    guide = JointGuide(Guidance(logit, scale=(0.5, 2.0)), (schedule, schedule))

    def by_hand(steps: tuple[Step, Step]) -> Corrections:
        one, two = (
            scale * s.level.gain / s.level.scale * g if s.level.guidable else None
            for s, g, scale in zip(steps, weights, (0.5, 2.0), strict=True)
        )
        return one, two

    def run(correct: Any) -> list[Any]:
        return generate((half("WanPipeline"), half("StableAudioPipeline")), correct, latents_only=True)

    for ours, expected, unguided in zip(run(corrections_of(guide)), run(by_hand), base, strict=True):
        assert torch.allclose(ours, expected, atol=1e-4, rtol=1e-5)
        assert not torch.allclose(ours, unguided, atol=1e-1)


def test_a_correction_is_added_in_float32_and_rounded_once() -> None:
    prediction = torch.full((2, 3), 1.0, dtype=torch.bfloat16)
    assert add_correction(prediction, None)[0] is prediction
    correction = torch.full((2, 3), 2.0**-8 * 1.0001)  # just above half of what bfloat16 resolves at 1
    assert torch.equal(add_correction(prediction, correction)[0], torch.full_like(prediction, 1 + 2.0**-7))
    assert torch.equal(prediction + correction.bfloat16(), prediction)
    assert add_correction(prediction.double(), correction)[0].dtype == torch.float64
    with pytest.raises(UsageError, match=r"\(2, 1\) for a prediction of shape \(2, 3\)"):
        add_correction(prediction, correction[:, :1])


def test_corrections_below_what_bfloat16_resolves_add_up_over_steps() -> None:
    g = torch.Generator().manual_seed(0)
    correction = 1e-3 * torch.randn(4096, generator=g)
    applied, without, remainder = torch.zeros(4096), torch.zeros(4096), None
    for _ in range(50):
        prediction = torch.randn(4096, generator=g).bfloat16()
        guided, remainder = add_correction(prediction, correction, remainder)
        applied += guided.float() - prediction.float()
        without += (prediction.float() + correction).bfloat16().float() - prediction.float()
    share = (torch.stack([applied, without]) @ correction) / (50 * correction @ correction)
    assert share[0] == pytest.approx(1, abs=0.02)
    assert share[1] < 0.6, "what one step loses, if each rounds anew"
    single = torch.ones(3)
    assert add_correction(single, torch.full((3,), 1e-9)) == (pytest.approx(single), None), "nothing is kept in float32"


def test_small_guidance_is_not_lost_in_the_precision_of_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    pipes = {name: made.__wrapped__(name)[0].to(torch.bfloat16) for name in ("WanPipeline", "StableAudio3Pipeline")}
    video, audio = (Half(pipe, half(name, 12).call) for name, pipe in pipes.items())
    moved, size = lockstep.Course.move, 3e-4
    effects: list[Tensor] = []

    def move(course: Any, prediction: Tensor | None) -> None:
        if prediction is not None and prediction.ndim == 5:
            effects.append((prediction.float() - course.here.prediction.float()).mean())
        moved(course, prediction)

    def small(steps: tuple[Step, Step]) -> Corrections:
        return torch.full(steps[0].prediction.shape, size), None

    monkeypatch.setattr(lockstep.Course, "move", move)
    generate((video, audio), small, latents_only=True)
    assert len(effects) == 12
    assert float(sum(effects)) == pytest.approx(12 * size, rel=0.15)


class Failure(Exception):
    """Raised by the tests below."""


def own_threads() -> set[threading.Thread]:
    """All that run but the one that watches progress bars, which the first bar of a process starts."""
    return {thread for thread in threading.enumerate() if type(thread).__name__ != "TMonitor"}


@pytest.mark.parametrize(
    "culprit", ["video", "audio", "correct", "decoder", "keyboard in correct", "keyboard in a half"]
)
def test_an_error_ends_both_and_leaves_nothing_behind(culprit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = (half("LTXPipeline", output_type="np"), half("LongCatAudioDiTPipeline"))
    kinds = [type(h.pipe.scheduler) for h in halves]
    threads = own_threads()
    error = KeyboardInterrupt if "keyboard" in culprit else Failure

    def fail(*args: Any, **kwargs: Any) -> Any:
        if culprit == "keyboard in a half":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return original(*args, **kwargs)
        raise error

    def correct(steps: tuple[Step, Step]) -> Corrections:
        if "correct" in culprit and steps[0].number == 2:
            raise error
        return zeros(steps)

    network = halves[1].pipe.transformer if culprit == "audio" else halves[0].pipe.transformer
    original = network.forward
    if culprit in ("video", "audio", "keyboard in a half"):
        calls = itertools.count()
        monkeypatch.setattr(network, "forward", lambda *a, **k: (fail if next(calls) == 3 else original)(*a, **k))
    if culprit == "decoder":
        monkeypatch.setattr(halves[0].pipe.vae, "decode", fail)
    with pytest.raises(error):
        generate(halves, correct)
    monkeypatch.undo()
    assert own_threads() <= threads
    assert [type(h.pipe.scheduler) for h in halves] == kinds
    again = plain(half("LTXPipeline", 7, output_type="np"))
    assert torch.equal(again, alone("LTXPipeline", 7, output_type="np"))


class Loop:
    """A pipeline of one loop, written here; `step` is how it calls its scheduler."""

    def __init__(self, scheduler: Any, step: Any = None, rounds: int = 1) -> None:
        self.scheduler, self.rounds, self.seen = scheduler, rounds, SimpleNamespace()
        self._step = step or (lambda s, p, t, x: s.step(p, t, x, return_dict=False)[0])

    def __call__(self, generator: torch.Generator) -> list[Tensor]:
        x = torch.randn(1, 4, generator=generator)
        for _ in range(self.rounds):
            self.scheduler.set_timesteps(3)
            for t in self.scheduler.timesteps:
                x = self._step(self.scheduler, 0.1 * x, t, x)
        return [x]


def beside(pipe: Any) -> tuple[Half, Half]:
    return Half(pipe, {"generator": torch.Generator().manual_seed(0)}), half("LongCatAudioDiTPipeline")


def test_pipelines_find_the_scheduler_that_they_know() -> None:
    found: list[Any] = []

    def step(scheduler: Any, p: Tensor, t: Any, x: Tensor) -> Tensor:
        found.append((isinstance(scheduler, diffusers.DDIMScheduler), type(scheduler).__name__, scheduler.config))
        found.append(inspect.signature(scheduler.step) == inspect.signature(diffusers.DDIMScheduler().step))
        twin = copy.deepcopy(scheduler)  # steps by itself, so nothing is met twice
        assert torch.equal(twin.step(p, t, x).prev_sample, scheduler.step(p, t, x).prev_sample)
        return twin.step(p, t, x).prev_sample

    scheduler = diffusers.DDIMScheduler()
    config = dict(scheduler.config)
    generate(beside(Loop(scheduler, step)))
    assert len(found) == 6
    assert all(known and name == "DDIMScheduler" and dict(c) == config for known, name, c in found[::2])
    assert all(found[1::2])
    assert type(scheduler) is diffusers.DDIMScheduler


COSMOS = diffusers.EDMEulerScheduler(sigma_data=1.0)


@pytest.mark.parametrize(
    ("pipe", "said"),
    [
        (Loop(diffusers.DDIMScheduler(), lambda s, p, t, x: copy.deepcopy(s).step(p, t, x).prev_sample), "0 times"),
        (Loop(diffusers.DDIMScheduler(), rounds=2), "more often than the 3 steps"),
        (Loop(diffusers.HeunDiscreteScheduler()), "HeunDiscreteScheduler cannot be guided: a solver of second order"),
        (Loop(diffusers.LCMScheduler()), "LCMScheduler cannot be guided: it samples distilled models"),
        (
            Loop(COSMOS, lambda s, p, t, x: s.step(p, t, x, pred_original_sample=x).prev_sample),
            "Loop steps by clean samples of its own",
        ),
    ],
)
def test_loops_that_cannot_be_met_are_refused(pipe: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        generate(beside(pipe))


def test_ltx_with_conditions_is_refused_by_name() -> None:
    own = half("LTXPipeline")
    parts = {**own.pipe.components, "scheduler": diffusers.FlowMatchEulerDiscreteScheduler()}
    conditional = diffusers.LTXConditionPipeline(**parts)
    conditional.set_progress_bar_config(disable=True)
    with pytest.raises(UsageError, match="LTXConditionPipeline steps its tokens by timesteps of their own"):
        generate((Half(conditional, own.call), half("LongCatAudioDiTPipeline")))


def test_two_pipelines_that_share_a_scheduler_are_refused() -> None:
    scheduler = diffusers.DDIMScheduler()
    with pytest.raises(UsageError, match="A DDIMScheduler is stepped by two pipelines at once"):
        generate((beside(Loop(scheduler))[0], beside(Loop(scheduler))[0]))
    assert type(scheduler) is diffusers.DDIMScheduler


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(UsageError, match="Unknown path 'index'"):
        generate((half("LTXPipeline"), half("LongCatAudioDiTPipeline")), None, "index")  # type: ignore[arg-type]
