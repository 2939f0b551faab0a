"""A pipeline's own call as a denoiser and as a decoder: what its loop predicts and decodes, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.black_box import Denoiser, decode, first_latents
from mmbench.mmdisco.course import Half, Step
from mmbench.mmdisco.joint_guide import Corrections
from mmbench.mmdisco.levels import Level, LevelSchedule
from mmbench.mmdisco.lockstep import generate
from mmbench.mmdisco.scheduler_levels import level_of, lives_on_training_steps
from mmbench.mmdisco.scheduler_methods import methods_replaced
from tests.mmdisco.pipelines import AUDIO, VIDEO, first, half, plain

NAMES = VIDEO + AUDIO
STEPS = 20


def steps_of(own: Half) -> list[tuple[Tensor, Tensor, Level, float]]:
    """(prediction, latents, level, timestep) of every step of a call."""
    seen = []

    def step(original: Callable[..., Any], p: Tensor, t: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append((p.clone(), x.clone(), level_of(own.pipe.scheduler, t), float(t)))
        return original(p, t, x, *args, **kwargs)

    with methods_replaced(own.pipe.scheduler, step=step):
        own.pipe(**own.call)
    return seen


def without_prompt(own: Half) -> Half:
    return Half(own.pipe, {k: v for k, v in own.call.items() if k not in ("prompt", "generator")})


@pytest.mark.parametrize("name", NAMES)
def test_it_predicts_what_the_loop_predicts(name: str) -> None:
    own = half(name, STEPS, guidance=1.0, n=2)
    steps = steps_of(own)
    samples = plain(half(name, output_type="latent"))
    state = torch.get_rng_state()
    denoiser = Denoiser(without_prompt(own), STEPS, prompt=["any", "words"])
    for i in (0, 7, STEPS - 1):
        prediction, x_t, level, t = steps[i]
        index = int(t) if lives_on_training_steps(own.pipe.scheduler) else STEPS - 1 - i
        assert denoiser.levels[index] == level
        assert torch.equal(denoiser(x_t, index, prompt=own.call["prompt"]), prediction)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(plain(half(name, output_type="latent")), samples)  # the pipeline is as before


@pytest.mark.parametrize("name", NAMES)
def test_levels_rise_from_the_cleanest_in_a_thousand(name: str) -> None:
    levels = Denoiser(half(name, guidance=1.0)).levels
    schedule = LevelSchedule(levels)
    assert schedule.num_train_timesteps == 1000
    assert bool((schedule.alphas_cumprod.diff() <= 0).all())
    assert levels[-1].a < 0.1 * levels[-1].scale
    assert levels[0].b < (0.31 if name == "StableAudioPipeline" else 0.13)  # LTX's grid ends at sigma 0.1


@pytest.mark.parametrize("name", NAMES)
def test_it_decodes_the_latents_of_a_loop_as_the_pipeline_does(name: str) -> None:
    other = half("LongCatAudioDiTPipeline" if name in VIDEO else "LTXPipeline")
    latents = generate((half(name), other), latents_only=True)[0]
    state = torch.get_rng_state()
    with forwards_of(half(name).pipe) as forwards:
        decoded = decode(without_prompt(half(name, output_type="np")), latents, prompt=["other words"])
    assert forwards == []  # nothing is denoised
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first(decoded), plain(half(name, output_type="np")))


@contextmanager
def forwards_of(pipe: Any) -> Iterator[list[int]]:
    """A list that grows with every call of the pipeline's denoising network."""
    calls: list[int] = []
    network = pipe.components.get("transformer") or pipe.components["unet"]
    hook = network.register_forward_hook(lambda *args: calls.append(1))
    yield calls
    hook.remove()


@pytest.mark.parametrize("name", NAMES)
def test_first_latents_are_the_loop_s_own_and_taken_as_unit_noise(name: str) -> None:
    own = half(name)
    state = torch.get_rng_state()
    latents = first_latents(without_prompt(own), prompt=["a dog barks"])
    assert torch.equal(torch.get_rng_state(), state)
    assert latents.dtype == torch.float32
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))
    begun = steps_of(half(name, latents=noise))[0]
    assert begun[1].shape == latents.shape
    assert torch.allclose(begun[1], noise * getattr(own.pipe.scheduler, "init_noise_sigma", 1.0))
    # scaled by the level, it is noise of unit variance, as a x_0 + b eps ends
    assert (begun[1] / begun[2].scale).std().item() == pytest.approx(noise.std().item(), rel=1e-3)


@pytest.mark.parametrize(
    "scheduler", ["EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"]
)
def test_schedulers_with_sigmas_go_to_training_steps(scheduler: str) -> None:
    """What a model trained as DDPM's predicts does not depend on the scheduler that asks it."""
    own = half("AnimateDiffPipeline", guidance=1.0)
    reference = Denoiser(without_prompt(own), prompt="rain")
    pipe = copy.copy(own.pipe)
    pipe.register_modules(scheduler=getattr(diffusers, scheduler).from_config(own.pipe.scheduler.config))
    denoiser = Denoiser(Half(pipe, without_prompt(own).call), prompt="rain")
    z = torch.randn(first_latents(own).shape, generator=torch.Generator().manual_seed(0))
    for t in (0, 400, 999):
        ours, theirs = denoiser.levels[t], reference.levels[t]
        assert ours.alpha_cumprod == pytest.approx(theirs.alpha_cumprod, rel=1e-5)
        noise = ours.noise(ours.scale * z, denoiser(ours.scale * z, t, prompt="rain"))
        assert torch.allclose(noise, theirs.noise(z, reference(z, t, prompt="rain")), atol=1e-4)


class Loop:
    """A pipeline of one loop, written here."""

    def __init__(self, change: Callable[[Tensor], Tensor], scheduler: Any) -> None:
        self.change, self.scheduler = change, scheduler

    def __call__(self, generator: torch.Generator, latents: Tensor | None = None, **_: Any) -> list[Tensor]:
        self.scheduler.set_timesteps(4)
        x = torch.randn(1, 4, generator=generator) if latents is None else self.change(latents)
        for t in self.scheduler.timesteps:
            x = self.scheduler.step(0.1 * x, t, x, return_dict=False)[0]
        return [x]


@pytest.mark.parametrize(
    ("loop", "said"),
    [
        (Loop(lambda z: 0.5 * z, diffusers.DDIMScheduler()), "does not scale unit noise, given as latents"),
        (Loop(lambda z: z[:, :2], diffusers.DDIMScheduler()), "does not scale unit noise, given as latents"),
        (Loop(lambda z: z, diffusers.HeunDiscreteScheduler()), "HeunDiscreteScheduler cannot be guided"),
        (Loop(lambda z: z, diffusers.DDIMInverseScheduler()), "DDIMInverseScheduler cannot be guided"),
    ],
)
def test_what_is_no_black_box_is_refused(loop: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Denoiser(Half(loop, {}))
    assert type(loop.scheduler).__name__.endswith("Scheduler")
    Denoiser(Half(Loop(lambda z: z, diffusers.DDIMScheduler()), {}))


def test_the_levels_of_a_black_box_are_those_that_lockstep_shows() -> None:
    """A discriminator trained at the one is asked at the other's places: whole numbers on its own grid."""
    places: list[float] = []
    video, audio = half("WanPipeline", 10, guidance=1.0), half("LongCatAudioDiTPipeline", 10, guidance=1.0)
    schedule = LevelSchedule(Denoiser(without_prompt(video), 10, prompt="rain").levels)

    def correct(steps: tuple[Step, Step]) -> Corrections:
        places.append(schedule.place(steps[0].level))
        return None, None

    generate((video, audio), correct, latents_only=True)
    assert places == [9 - i for i in range(10)]
