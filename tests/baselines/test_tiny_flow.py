"""The embedded pair as flows: what its networks predict, and that a sample depends on nothing but its request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.baselines.models.tiny.flow import SCHEDULES, FlowDenoiser
from mmbench.baselines.models.tiny.networks import Denoiser, unpack, words_of
from mmbench.errors import UsageError
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system
from mmbench.types import Clip, Request

DATASET = make_dataset("bounce")
REQUESTS = make_requests(DATASET, 3, 7)
STEPS = 4  # of the sampler: what is tested here does not need good samples
GUIDED = "tiny_flow+mmdisco-res_frieren"
MODELS = ("video_model", "audio_model")


def generate(name: str, requests: list[Request], **options: Any) -> list[Clip]:
    system = make_system(name, dataset=DATASET, device="cpu", **{"num_inference_steps": STEPS, **options})
    return list(system.generate(requests))


def digests(clips: list[Clip]) -> list[tuple[str, str]]:
    return [(clip.video_digest(), clip.audio_digest()) for clip in clips]


def flow_of(name: str, file: str = "tiny_flow") -> FlowDenoiser:
    network: Any = unpack(name, SHIPPED / f"{file}.safetensors")
    return FlowDenoiser(network, SCHEDULES[MODELS.index(name)])


def draw(network: Denoiser, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """n noised latents and texts."""
    x = torch.randn(n, *network.shape, generator=torch.Generator().manual_seed(0))
    return x, network.words(torch.stack([words_of("a metal ball bouncing")] * n))


@pytest.fixture(scope="module")
def base() -> list[Clip]:
    return generate("tiny_flow", REQUESTS)


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_of_a_v_model_are_a_flow_model_at_once(name: str) -> None:
    """Where s has the angle of a timestep the velocity stands for the very noise that the v-model predicts there."""
    flow = flow_of(name, "tiny")
    t = torch.tensor([0, 250, 600, 999])
    abar = flow.network.schedule.alphas_cumprod[t]
    a, b = abar.sqrt(), (1 - abar).sqrt()
    s = b / (a + b)
    torch.testing.assert_close(flow.time(s), t.double(), atol=1e-6, rtol=0)
    z, text = draw(flow.network, len(t))
    wide, c = s.reshape(-1, *[1] * (z.ndim - 1)).float(), torch.hypot(1 - s, s).reshape(-1, *[1] * (z.ndim - 1)).float()
    noise = c * z + (1 - wide) * flow.velocity(c * z, s, text)
    torch.testing.assert_close(noise, flow.network.epsilon(z, t, text), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_velocity_and_noise_are_one_prediction(name: str) -> None:
    """What `Level` of a flow says a velocity stands for is what `epsilon` gives, from nearly clean to noise alone."""
    flow = flow_of(name)
    for t in (50, 400, 999):
        level = flow.schedule.levels[t]
        z, text = draw(flow.network, 2)
        velocity = flow.velocity(level.scale * z, torch.full((2,), level.b, dtype=torch.float64), text)
        x_0, noise = level.split(level.scale * z, velocity)
        torch.testing.assert_close(noise, flow.epsilon(z, torch.full((2,), t), text), atol=1e-4, rtol=0)
        torch.testing.assert_close(level.prediction(x_0, noise), velocity, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_time_rises_with_the_noise_and_noise_alone_lies_past_the_last_timestep(name: str) -> None:
    flow = flow_of(name)
    times = flow.time(torch.linspace(0, 1, 200, dtype=torch.float64))
    assert bool((times.diff() > 0).all())
    assert float(times[-1]) > len(flow.angles)


def test_clips_have_the_format_of_bounce(base: list[Clip]) -> None:
    assert {clip.size() for clip in base} == {"16x64x64@8+32000@16000"}


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["tiny_flow", GUIDED])
def test_a_sample_does_not_depend_on_its_batch(name: str, base: list[Clip]) -> None:
    together = digests(base if name == "tiny_flow" else generate(name, REQUESTS))
    assert digests(generate(name, REQUESTS[1:2])) == together[1:2]


@pytest.mark.e2e
def test_guidance_at_scale_0_gives_the_base_and_at_scale_1_moves_both_halves(base: list[Clip]) -> None:
    assert digests(generate(GUIDED, REQUESTS, joint_scale=(0.0, 0.0))) == digests(base)
    moved = generate(GUIDED, REQUESTS, joint_scale=(1.0, 1.0))
    for (video, audio), (base_video, base_audio) in zip(digests(moved), digests(base), strict=True):
        assert video != base_video
        assert audio != base_audio


def test_the_noise_is_that_of_the_request() -> None:
    """Another index of the same prompt is another sample, whatever the global generator holds."""
    torch.manual_seed(1)
    first = digests(generate("tiny_flow", REQUESTS[:1]))
    torch.manual_seed(2)
    other = digests(generate("tiny_flow", [replace(REQUESTS[0], index=REQUESTS[0].index + 1)]))
    assert digests(generate("tiny_flow", REQUESTS[:1])) == first
    assert all(a != b for a, b in zip(first[0], other[0], strict=True))


@pytest.mark.e2e
def test_text_guidance_of_1_is_none_and_of_3_is_another_sample(base: list[Clip]) -> None:
    at_one = generate("tiny_flow", REQUESTS, free_scale=(1.0, 1.0))
    for clip, same in zip(at_one, base, strict=True):
        assert int(abs(clip.video.astype(int) - same.video).max()) <= 2
    assert digests(generate("tiny_flow", REQUESTS, free_scale=(3.0, 3.0))) != digests(base)


def test_options_without_meaning_are_refused() -> None:
    with pytest.raises(UsageError, match="no option 'sampler'"):
        make_system("tiny_flow", dataset=DATASET, sampler="ddim")
    with pytest.raises(UsageError, match="num_inference_steps"):
        make_system("tiny_flow", dataset=DATASET, num_inference_steps=0)


@pytest.mark.parametrize("name", MODELS)
def test_the_course_lowered_the_flow_matching_loss(name: str) -> None:
    """On items of the test split, which no model was trained on: below the v-model's that it began with."""
    pair = make_system("tiny_flow", dataset=DATASET, device="cpu").pair()
    requests = make_requests(DATASET, 24, 5)
    half = MODELS.index(name)
    examples = [pair.encode(DATASET.real(request, "real")) for request in requests]
    x = torch.stack([example[half] for example in examples])
    g = torch.Generator().manual_seed(0)
    noise, levels = torch.randn(x.shape, generator=g), SCHEDULES[half].levels
    picked = [levels[int(i)] for i in torch.linspace(0, len(levels) - 1, len(x))]
    s = torch.tensor([level.b for level in picked], dtype=torch.float64)
    wide = s.float().reshape(-1, *[1] * (x.ndim - 1))

    def loss(flow: FlowDenoiser) -> float:
        text = flow.words(torch.stack([words_of(request.prompt.text) for request in requests]))
        with torch.no_grad():
            velocity = flow.velocity((1 - wide) * x + wide * noise, s, text)
        return float((velocity - (noise - x)).square().mean())

    assert loss(flow_of(name)) < loss(flow_of(name, "tiny"))
