"""Samplers and guidance of MMDisCo on base models that are formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from mmbench.baselines.models.difffoley import sampling as difffoley_sampling
from mmbench.mmdisco.discriminator import load_discriminator
from mmbench.mmdisco.dpm_solver import DPMSolver, State
from mmbench.mmdisco.guidance import Guidance, JointPredictor, release_logit
from mmbench.mmdisco.losses import Epsilon, independent
from mmbench.mmdisco.samplers import SchedulerSampler, make_scheduler
from mmbench.mmdisco.schedule import NoiseSchedule
from tests.conformance.harness import Fixture, runner
from tests.conformance.run_mmdisco_discriminator import config_of


def schedule_of(config: dict[str, Any]) -> NoiseSchedule:
    """The schedule a config describes."""
    return NoiseSchedule(config["kind"], config["beta_start"], config["beta_end"], config["num"])


def column(t: Tensor, like: Tensor) -> Tensor:
    """(n,) times against an (n, ...) tensor, in its precision."""
    return t.to(like).reshape(-1, *[1] * (like.ndim - 1))


def rest_mean(x: Tensor) -> Tensor:
    """Mean over all but the batch, (n,)."""
    return x.flatten(1).mean(1)


def mm_diffusion(video: Tensor, audio: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The coupled formula model of the MM-Diffusion fixtures."""

    def part(x: Tensor, inner: Tensor) -> Tensor:
        s = column(t, x)
        return (1 - torch.exp(-(s + 1) / 200)) * x + 0.4 * torch.exp(-s / 250) * torch.tanh(inner)

    tv, ta = column(t, video), column(t, audio)
    video_inner = 0.9 * video + 0.3 * column(rest_mean(audio), video) + 0.2 * torch.sin(tv / 100) + 0.5 * video.flip(1)
    audio_inner = (
        0.8 * audio - 0.25 * column(rest_mean(video), audio) + 0.2 * torch.cos(ta / 100) - 0.5 * audio.roll(1, -1)
    )
    return part(video, video_inner), part(audio, audio_inner)


@runner("mm_dpm_solver")
def mm_dpm_solver(fixture: Fixture) -> None:
    abar = schedule_of(fixture.config["schedule"]).alphas_cumprod.float()
    for case in fixture.config["cases"]:
        seen: list[int] = []

        def predict(state: State, t: Tensor, step: int, seen: list[int] = seen) -> State:
            seen.append(int(t[0]))
            return mm_diffusion(state[0], state[1], t)

        solver = DPMSolver(
            (abar, abar),
            num_inference_steps=case["steps"],
            order=case["order"],
            method=case["method"],
            spacing=case["skip_type"],
            predict_sample=case["predict_x0"],
            thresholding=case["thresholding"],
        )
        video, audio = solver.sample(predict, (fixture.input("video_T"), fixture.input("audio_T")))
        fixture.check(f"{case['name']}.model_timesteps", np.array(seen, np.int64))
        fixture.check(f"{case['name']}.video", video)
        fixture.check(f"{case['name']}.audio", audio)


def diff_foley(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
    """The formula model of the Diff-Foley fixtures."""
    s = column(t, x)
    inner = 0.7 * x + 0.2 * torch.sin(s / 100) + 0.5 * x.roll(1, -1)
    if condition is not None:
        inner = inner + 0.4 * column(rest_mean(condition), x)
    return (1 - torch.exp(-(s + 1) / 200)) * x + 0.4 * torch.exp(-s / 250) * torch.tanh(inner)


def classifier_gradient(video_feat: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """grad log p of the formula classifier of Diff-Foley's double guidance."""

    def gradient(x: Tensor, t: Tensor) -> Tensor:
        leaf = x.detach().requires_grad_()
        logit = 0.3 * rest_mean(torch.sin(1.5 * leaf)) - 0.5 + 1.5 * rest_mean(video_feat) + 0.1 * torch.cos(t / 200)
        (found,) = torch.autograd.grad(torch.nn.functional.logsigmoid(logit).sum(), leaf)
        return found

    return gradient


@runner("difffoley_dpm_solver")
def difffoley_dpm_solver(fixture: Fixture) -> None:
    abar = schedule_of(fixture.config["schedule"]).alphas_cumprod
    for case in fixture.config["cases"]:
        seen: list[float] = []
        solver = replace(
            difffoley_sampling.solver(case["steps"], abar),
            order=case["order"],
            method=case["method"],
            spacing=case["skip_type"],
            predict_sample=case["predict_x0"],
            thresholding=case["thresholding"],
            lower_order_final=case["lower_order_final"],
        )
        guided: Any = lambda state, t, step: (diff_foley(state[0], t, None),)  # noqa: E731
        if case["guidance"] != "none":
            guided = difffoley_sampling.DoubleGuidance(
                diff_foley,
                fixture.input("cond"),
                fixture.input("uncond"),
                solver.log_snr[0],
                case["cfg_scale"],
                classifier_gradient(fixture.input("video_feat")) if case["guidance"] == "double" else None,
                case.get("classifier_scale", 0.0),
            )

        def predict(state: State, t: Tensor, step: int, seen: list[float] = seen, guided: Any = guided) -> State:
            seen.append(float(t[0]))
            return guided(state, t, step)

        (sample,) = solver.sample(predict, (fixture.input("x_T"),))
        fixture.check(f"{case['name']}.model_timesteps", np.array(seen, np.float32))
        fixture.check(f"{case['name']}.sample", sample)


@runner("mmdisco_guided_mmdiffusion")
def mmdisco_guided_mmdiffusion(fixture: Fixture) -> None:
    abar = NoiseSchedule("linear", 1e-4, 0.02).alphas_cumprod
    config = config_of(fixture.config["constructor"], video_frames_first=True)
    discriminator = load_discriminator(fixture.weights(), config)
    predictors = []
    for case in fixture.config["cases"]:
        scale = (case["joint_scale_video"], case["joint_scale_audio"])
        guidance = Guidance(discriminator, scale, logit=release_logit)
        predict = JointPredictor(lambda v, a, t, c: mm_diffusion(v, a, t), (abar, abar), guidance=guidance)
        predictors.append(predict)
        video, audio = predict((fixture.input("video"), fixture.input("audio")), fixture.input("timesteps"))
        fixture.check(f"{case['name']}.pred_video", video)
        fixture.check(f"{case['name']}.pred_audio", audio)
    solver = DPMSolver((abar.float(), abar.float()), thresholding=True)
    video, audio = solver.sample(predictors[0], (fixture.input("video_T"), fixture.input("audio_T")))
    fixture.check("sample.video", video)
    fixture.check("sample.audio", audio)


def base_model(a: float, shift: Any, wave: Any) -> Epsilon:
    """The formula base models of the MMDisCo fixtures."""

    def epsilon(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        s = column(t, x)
        inner = a * x + 0.5 * shift(x) + 0.6 * column(rest_mean(text), x) + 0.2 * wave(s / 100)
        return (1 - torch.exp(-(s + 1) / 200)) * x + 0.4 * torch.exp(-s / 250) * torch.tanh(inner)

    return epsilon


def scheduler_sampler(fixture: Fixture, trajectory: list[State]) -> SchedulerSampler:
    """diffusers' schedulers, video first, with every field of the fixture's configs."""
    name = "ddpm" if fixture.config["scheduler_class"] == "ddpm" else "dpmsolver++2m"

    def maker(modality: str) -> Any:
        config = dict(fixture.config[f"scheduler_{modality}"])
        schedule = NoiseSchedule(
            config.pop("beta_schedule"),
            config.pop("beta_start"),
            config.pop("beta_end"),
            config.pop("num_train_timesteps"),
        )
        return lambda: make_scheduler(name, schedule, **config)  # type: ignore[arg-type]

    return SchedulerSampler(
        (maker("video"), maker("audio")),
        fixture.config["num_inference_steps"],
        lambda step, state: trajectory.append(state),
    )


def recorded_noise(shape: Any, generator: list[Iterator[Tensor]], **_: Any) -> Tensor:
    """What diffusers draws, read from the fixture instead."""
    noise = next(generator[0])
    assert noise.shape == shape
    return noise


@runner("mmdisco_sample")
def mmdisco_sample(fixture: Fixture) -> None:
    config = fixture.config
    epsilon = independent(
        base_model(0.8, lambda x: x.flip(2), torch.cos), base_model(0.9, lambda x: x.roll(1, -1), torch.sin)
    )
    # The bases read the embeddings whole, the discriminator their mean over tokens: it takes the mean itself.
    conditional = fixture.input("video_text"), fixture.input("audio_text")
    unconditional = fixture.input("video_text_uncond"), fixture.input("audio_text_uncond")
    design = config_of(config["constructor"], audio_mel_first=not config["is_mel_channel_last"])
    discriminator = load_discriminator(fixture.weights(), design)
    scores = [
        config[f"score_scheduler_{m}"] if f"score_scheduler_{m}" in config else config[f"scheduler_{m}"]
        for m in ("video", "audio")
    ]
    alphas_cumprod = tuple(
        NoiseSchedule(s["beta_schedule"], s["beta_start"], s["beta_end"], s["num_train_timesteps"]).alphas_cumprod
        for s in scores
    )
    for case in config["cases"]:
        scale = (case["joint_scale_video"], case["joint_scale_audio"])
        predict = JointPredictor(
            epsilon,
            alphas_cumprod,  # type: ignore[arg-type]
            conditional,
            unconditional,
            (config["guidance_scale_video"], config["guidance_scale_audio"]),
            Guidance(discriminator, scale, conditional, unconditional, release_logit) if case["joint"] else None,
        )
        trajectory: list[State] = []
        sampler = scheduler_sampler(fixture, trajectory)
        noises = ([None], [None])
        if config["scheduler_class"] == "ddpm":
            noises = ([iter(fixture.input("noise_video"))], [iter(fixture.input("noise_audio"))])  # type: ignore[assignment]
        with mock.patch("diffusers.schedulers.scheduling_ddpm.randn_tensor", recorded_noise):
            video, audio = sampler.sample(predict, (fixture.input("video_T"), fixture.input("audio_T")), noises)  # type: ignore[arg-type]
        fixture.check(f"{case['name']}.video", video)
        fixture.check(f"{case['name']}.audio", audio)
        if case.get("trajectory"):
            for k, modality in enumerate(("video", "audio")):
                fixture.check(f"{case['name']}.trajectory_{modality}", torch.stack([state[k] for state in trajectory]))
    fixture.check("timesteps", sampler.timesteps()[0])
