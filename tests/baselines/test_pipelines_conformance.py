"""Pipelines in lockstep against the pair that samples the same networks with a loop of its own.

`audioldm_animatediff` is conformant to the released code (tests/conformance). diffusers' AudioLDMPipeline and
AnimateDiffPipeline, given its very networks and noise, must end with its clips, alone and guided.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from mmbench.baselines.kinds.pair import STREAMS, generator_of
from mmbench.baselines.models.pipelines.tiny_text import roberta_tokenizer
from mmbench.baselines.models.pipelines.untrained import quiet
from mmbench.mmdisco.black_box import decode
from mmbench.mmdisco.course import Half
from mmbench.mmdisco.joint_guide import JointGuide
from mmbench.mmdisco.levels import LevelSchedule, level_of_kind
from mmbench.mmdisco.lockstep import corrections_of, generate
from mmbench.mmdisco.samplers import initial_noise, make_scheduler
from mmbench.networks.clip_tokens import CONTEXT, bytewise_tokenizer
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system
from tests.fixture_distribution.mmbench_fixture import FixtureDataset

STEPS, FREE_SCALE = 3, (7.5, 2.5)
pytestmark = pytest.mark.e2e
REQUEST = make_requests(FixtureDataset(), 1, seed=3)[0]


class Sampled(NamedTuple):
    """Both latents, and what they decode to."""

    latents: tuple[Tensor, Tensor]
    video: np.ndarray
    audio: np.ndarray


@pytest.fixture(scope="module")
def system() -> Any:
    options = {"size": "tiny", "sampler": "ddim", "num_inference_steps": STEPS, "joint_scale": (40.0, 40.0)}
    name = "audioldm_animatediff+mmdisco-res_frieren"
    return make_system(name, dataset=FixtureDataset(), device="cpu", **options, free_scale=FREE_SCALE)


@pytest.fixture(scope="module")
def halves(system: Any) -> tuple[Half, Half]:
    """The pair's own networks in pipelines of diffusers, with the request's noise."""
    pair, (video, audio) = system.pair(), (system.pair().video, system.pair().audio)
    schedulers = [make_scheduler("ddim", schedule) for schedule in pair.schedules]
    with quiet():
        pipelines = (
            diffusers.AnimateDiffPipeline(
                vae=video.vae,
                text_encoder=video.text_encoder,
                tokenizer=bytewise_tokenizer(CONTEXT),
                unet=video.unet,
                motion_adapter=None,
                scheduler=schedulers[0],
            ),
            diffusers.AudioLDMPipeline(
                vae=audio.vae,
                text_encoder=audio.text_encoder,
                tokenizer=roberta_tokenizer(),
                unet=audio.unet,
                scheduler=schedulers[1],
                vocoder=audio.vocoder,
            ),
        )
    size = {"height": 256, "width": 256, "num_frames": 16}, {"audio_length_in_s": 2.0}
    made = []
    for pipeline, shape, stream, scale, own in zip(pipelines, pair.shapes, STREAMS, FREE_SCALE, size, strict=True):
        pipeline.set_progress_bar_config(disable=True)
        noise = initial_noise(shape, [generator_of(REQUEST, stream)], torch.device("cpu"))
        call = {"prompt": REQUEST.prompt.text, "guidance_scale": scale, "num_inference_steps": STEPS}
        made.append(Half(pipeline, call | own | {"latents": noise, "output_type": "np"}))
    return made[0], made[1]


def by_pair(system: Any, guided: bool) -> Sampled:
    pair = system.pair()
    latents = pair.sample([REQUEST], system.guide if guided else None)
    video, audio = pair.video.decode(latents[0]), pair.audio.decode(latents[1])
    return Sampled(latents, video[0], audio[0])


def by_pipelines(halves: tuple[Half, Half], correct: Any) -> Sampled:
    latents = tuple(generate(halves, correct, latents_only=True))
    bare = [Half(half.pipe, {k: v for k, v in half.call.items() if k != "latents"}) for half in halves]
    video, audio = (decode(half, z)[0][0] for half, z in zip(bare, latents, strict=True))
    return Sampled((latents[0], latents[1]), video, audio)


def guide_of(system: Any) -> JointGuide:
    """The same discriminator, told the levels of the pair's noise schedules."""
    pair = system.pair()
    condition = pair.texts([REQUEST.prompt.text])
    guidance = system.guide(condition, tuple(u[None] for u in pair.unconditional))
    levels = [
        LevelSchedule([level_of_kind("epsilon", float(a.sqrt()), float((1 - a).sqrt())) for a in s.alphas_cumprod])
        for s in pair.schedules
    ]
    return JointGuide(guidance, (levels[0], levels[1]), FREE_SCALE)


def assert_alike(found: Sampled, expected: Sampled, rounding: float) -> None:
    for z, wanted in zip(found.latents, expected.latents, strict=True):
        assert (z - wanted).abs().max() < rounding * wanted.std()
    assert np.abs(found.video - expected.video).max() < rounding
    error = found.audio - expected.audio  # the untrained vocoder makes 1e-2 of 1e-6 at few samples
    assert np.square(error).mean() ** 0.5 < 5e-3 * np.square(expected.audio).mean() ** 0.5


@pytest.fixture(scope="module")
def alone(system: Any) -> Sampled:
    return by_pair(system, guided=False)


def test_alone_they_make_what_the_pair_makes(alone: Sampled, halves: tuple[Half, Half]) -> None:
    assert_alike(by_pipelines(halves, None), alone, rounding=1e-5)


def test_guided_they_make_what_the_guided_pair_makes(system: Any, alone: Sampled, halves: tuple[Half, Half]) -> None:
    expected = by_pair(system, guided=True)
    assert_alike(by_pipelines(halves, corrections_of(guide_of(system))), expected, rounding=1e-4)
    for z, base in zip(expected.latents, alone.latents, strict=True):  # which are far from those alone
        assert (z - base).abs().max() > 0.05 * base.std()
