"""Any two pipelines as a pair: alone they are the pipelines themselves; a discriminator trains and guides on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from mmbench.baselines.kinds.pair import STREAMS, generator_of
from mmbench.baselines.models.pipelines.pair import PipelinePair
from mmbench.baselines.models.pipelines.system import PipelineSystem
from mmbench.errors import MMBenchError, UsageError
from mmbench.mmdisco.checkpoint import save_weights
from mmbench.mmdisco.guidance import Guidance
from mmbench.mmdisco.losses import Noised, mmdisco_losses
from mmbench.mmdisco.seen import seen_by, shapes_seen, view_of
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system
from mmbench.types import Request

NAMES = ("wan_stableaudio", "ltx_stableaudio3", "cogvideox_audioldm2", "animatediff_audioldm2")
FIRST = [NAMES[0], *(pytest.param(name, marks=pytest.mark.e2e) for name in NAMES[1:])]  # seconds each
STEPS = (4, 3)


@cache
def system_of(name: str, **options: Any) -> PipelineSystem:
    """A system of small pipelines, unequal in their steps."""
    given = {"size": "tiny", "num_inference_steps": STEPS, "device": "cpu"} | options
    return cast(PipelineSystem, make_system(name, dataset=make_dataset("bounce"), **given))


def pair_of(name: str) -> PipelinePair:
    """The pair of `system_of`, loaded once."""
    return cast(PipelinePair, system_of(name).pair())


def requests(num: int = 1, seed: int = 3) -> list[Request]:
    """The first requests of a run on bounce."""
    return make_requests(make_dataset("bounce"), num, seed)


def guidance_by(logit: Any, scale: tuple[float, float] = (1.0, 1.0)) -> Any:
    """The guidance of a function of what a discriminator sees, (x_t, y_t, t, *text) -> (n,)."""

    class Network(torch.nn.Module):
        def forward(self, *inputs: Any) -> Tensor:
            return cast(Tensor, logit(*inputs))

    return lambda pair: lambda text, empty: Guidance(seen_by(Network(), view_of(pair)), scale, text, empty)


def zero(video: Tensor, audio: Tensor, t: Any, *text: Tensor) -> Tensor:
    """A discriminator that sees everything and knows nothing."""
    parts = (video, audio, *text)
    return torch.stack([0 * z.flatten(1).sum(1) for z in parts]).sum(0)


@pytest.mark.parametrize("name", FIRST)
def test_alone_and_under_a_zero_discriminator_they_are_the_pipelines_themselves(name: str) -> None:
    pair, (request,) = pair_of(name), requests()
    state = torch.get_rng_state()
    latents = pair.sample([request])
    guided = pair.sample([request], guidance_by(zero)(pair))
    (clip,) = pair.decode(*latents, [request])
    assert torch.equal(state, torch.get_rng_state()), "all randomness is the request's"
    assert all(map(torch.equal, latents, guided))
    for model, stream, field in zip(pair.models, STREAMS, ("frames", "audios"), strict=True):
        half = model.half(request.prompt.text, generator_of(request, stream))
        alone = np.asarray(getattr(model.pipe(**{**half.call, "output_type": "np"}), field))
        generator = generator_of(request, "decoding")
        made = model.decode(latents[0 if field == "frames" else 1], request.prompt.text, generator)
        np.testing.assert_array_equal(np.asarray(getattr(made, field)), alone)
    assert clip.size() == "16x64x64@8+32000@16000"


def test_noise_that_pipelines_add_before_they_decode_is_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []

    def decode(half: Any, latents: Tensor, **call: Any) -> None:
        drawn.append(float(torch.rand((), generator=call["generator"])))

    monkeypatch.setattr("mmbench.baselines.models.pipelines.model.decode", decode)
    monkeypatch.setattr("mmbench.baselines.models.pipelines.pair.to_clip", lambda *_: None)
    pair, asked = pair_of(FIRST[0]), requests(2)
    latents = torch.zeros(2, *pair.shapes[0]), torch.zeros(2, *pair.shapes[1])
    pair.decode(*latents, asked)
    pair.decode(*(z[1:] for z in latents), asked[1:])
    assert len(set(drawn[:4])) == 4, "each half of each sample has noise of its own"
    assert drawn[4:] == drawn[2:4], "whatever batch it is in"


@pytest.mark.parametrize("name", FIRST)
def test_a_real_clip_becomes_an_example_that_a_discriminator_sees(name: str) -> None:
    pair, item = pair_of(name), make_dataset("bounce").reference(1, 0)[0]
    example = pair.encode(item)
    assert tuple(z.shape for z in example[:2]) == pair.shapes
    assert [tuple(z.shape[1:]) for z in pair.view(*(z[None] for z in example))] == shapes_seen(pair)
    assert all(z.isfinite().all() for z in example)
    config = pair.discriminator("res_frieren")
    assert config.video_times is not None
    assert len(config.video_times) == shapes_seen(pair)[0][1]
    assert config.video_times[-1] < shapes_seen(pair)[1][1], "the last picture begins within the sound"


def test_guidance_reaches_both_halves_through_what_is_seen() -> None:
    pair, (request,) = pair_of("wan_stableaudio"), requests()
    seen: list[tuple[int, ...]] = []

    def linear(video: Tensor, audio: Tensor, t: Any, *text: Tensor) -> Tensor:
        seen.append((video.shape[1], audio.shape[2], text[0].shape[1]))
        return video.flatten(1).sum(1) - 2 * audio.flatten(1).sum(1)

    alone, moved = pair.sample([request]), pair.sample([request], guidance_by(linear, (0.01, 0.01))(pair))
    twice = pair.sample([request], guidance_by(linear, (0.02, 0.02))(pair))
    for base, once, double in zip(alone, moved, twice, strict=True):
        assert not torch.equal(base, once)
        assert (double - base).abs().max() > (once - base).abs().max(), "further with a larger scale"
    assert seen[0] == (16, 32, 32), "the sound is cut to the clip, the text is its mean state"
    outside = (moved[1] - alone[1])[..., 40:]  # beyond what is seen, only the model's own answer moves
    assert outside.abs().max() < (moved[1] - alone[1])[..., :32].abs().max()


def test_a_sample_does_not_depend_on_what_is_made_beside_it() -> None:
    system, made = system_of("wan_stableaudio"), requests(3)
    together = [clip.digest() for clip in system.generate(made)]
    assert [next(iter(system.generate([request]))).digest() for request in reversed(made)] == together[::-1]
    assert len(set(together)) == 3


def test_a_text_is_encoded_once_whatever_it_is_needed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, prompt, calls = pair_of("wan_stableaudio"), "nobody has asked for this before", list[int]()
    for model in pair.models:
        encoder = model.pipe.text_encoder
        forward = encoder.forward
        monkeypatch.setattr(encoder, "forward", lambda *a, _f=forward, **k: calls.append(1) or _f(*a, **k))
    texts = pair.texts([prompt, prompt])
    pair.texts([prompt])
    one = len(calls)
    t = torch.tensor([1, 2])
    pair.epsilon_video(torch.zeros(2, *pair.shapes[0]), t, texts[0])
    pair.epsilon_audio(torch.zeros(2, *pair.shapes[1]), t, texts[1])
    assert (one, len(calls)) == (2, 2), "one encoder each"


def test_noise_is_predicted_with_the_text_of_each_row() -> None:
    pair = pair_of("wan_stableaudio")
    texts = pair.texts(["a dog", ""])
    g = torch.Generator().manual_seed(0)
    for model, text, epsilon in zip(pair.models, texts, (pair.epsilon_video, pair.epsilon_audio), strict=True):
        x_t = torch.randn(1, *model.shape, generator=g).repeat(2, *[1] * len(model.shape))
        predicted = epsilon(x_t, torch.tensor([700, 700]), text)
        assert not torch.equal(predicted[0], predicted[1])
        assert torch.equal(predicted[1:], epsilon(x_t[1:], torch.tensor([700]), text[1:]))
        level = model.schedule.levels[700]
        own = model.denoiser(level.scale * x_t[:1], 700, prompt="a dog")
        torch.testing.assert_close(predicted[:1], level.noise(level.scale * x_t[:1], own))


def test_both_losses_reach_the_discriminator_through_the_view() -> None:
    from mmbench.mmdisco.discriminator import Discriminator

    pair, item = pair_of("ltx_stableaudio3"), make_dataset("bounce").reference(1, 0)[0]
    *latents, video_text, audio_text = (z[None] for z in pair.encode(item))
    torch.manual_seed(0)
    model = Discriminator(pair.discriminator("res_frieren"))
    noise = cast(Any, tuple(torch.randn(z.shape) for z in latents))
    texts = (video_text, audio_text)
    batch = Noised(cast(Any, tuple(latents)), noise, torch.tensor([400]), texts, texts)
    alphas = cast(Any, tuple(schedule.alphas_cumprod for schedule in pair.schedules))
    losses = mmdisco_losses(seen_by(model, view_of(pair)), pair.epsilon, alphas, batch, batch)
    losses.total.backward()
    assert losses.denoising is not None
    assert 0 < losses.denoising.item() < 10
    assert any(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


def test_bfloat16_pipelines_are_guided_in_float32() -> None:
    system = system_of("wan_stableaudio+mmdisco-res_frieren", dtype="bfloat16", joint_scale=(50.0, 50.0))
    pair, (request,) = cast(PipelinePair, system.pair()), requests()
    assert next(pair.video.pipe.transformer.parameters()).dtype == torch.bfloat16
    alone, guided = pair.sample([request]), pair.sample([request], system.guide)
    for base, moved in zip(alone, guided, strict=True):
        assert moved.dtype == torch.float32
        assert moved.isfinite().all()
        assert not torch.equal(base, moved)


def test_what_decides_a_sample_is_in_its_spec() -> None:
    spec = json.loads(json.dumps(system_of("wan_stableaudio").spec()))
    video, audio = spec["components"]["video"], spec["components"]["audio"]
    assert (video["class"], video["content"], video["call"]["num_inference_steps"]) == ("WanPipeline", "tiny", 4)
    assert (audio["class"], audio["call"]["num_inference_steps"]) == ("StableAudioPipeline", 3)
    guided = system_of("wan_stableaudio+mmdisco-res_frieren", guided_every=2).spec()
    assert guided["mmdisco"] | {"weights": "random"} == {
        **{"design": "res_frieren", "option": "", "weights": "random", "joint_scale": (1.0, 1.0), "guided_every": 2}
    }
    assert guided["components"] == system_of("wan_stableaudio").spec()["components"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"weights": "real", "size": "full"}, "the commit of Wan-AI/Wan2.1-T2V-1.3B-Diffusers is ''"),
        ({"video": "org/other"}, "is built from its class, and org/other is not read"),
        ({"num_inference_steps": (1, 2, 3)}, "cannot have num_inference_steps"),
        ({"num_inference_steps": 0}, "a whole number from 1"),
        ({"path": "sideways"}, "has no path 'sideways'"),
        ({"offload": "all"}, "has no offload 'all'"),
    ],
)
def test_options_that_cannot_be_are_refused_before_any_work(options: dict[str, Any], found: str) -> None:
    with pytest.raises(UsageError, match=found):
        system_of("wan_stableaudio", **options)


def test_a_path_that_the_discriminator_was_not_trained_on_is_refused(tmp_path: Path) -> None:
    guided = system_of("wan_stableaudio+mmdisco-res_frieren", path="video_first")
    assert guided.spec()["mmdisco"]["path"] == "video_first", "random weights were trained on no path"
    model = guided._untrained()
    file = str(save_weights(tmp_path, model.state_dict(), model.config))
    with pytest.raises(
        UsageError, match="trained on pairing 'index' of noise levels, and path 'video_first' leaves it"
    ):
        system_of("wan_stableaudio+mmdisco-res_frieren", path="video_first", discriminator=file)
    first, later = (
        system_of("wan_stableaudio", path=path).pair().sample(requests()) for path in ("fraction", "log_snr")
    )
    assert all(map(torch.equal, first, later)), "alone, any path is the same"


@pytest.mark.e2e
def test_the_best_of_two_is_chosen_and_an_aligner_is_refused() -> None:
    (request,) = requests()
    (clip,) = system_of("animatediff_audioldm2+bestof-2-av_align").generate([request])
    assert len(clip.notes["best_of"]["scores"]) == 2
    with pytest.raises(UsageError, match=r"has no \+aligner"):
        system_of("animatediff_audioldm2+aligner")


def test_a_half_that_rests_gives_its_networks_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What moves to the CPU and when; diffusers' own hooks bring it back, on a GPU."""
    pair, turns = pair_of("wan_stableaudio"), list[str]()

    class Hook:
        def __init__(self, name: str) -> None:
            self.name = name

        def offload(self) -> None:
            turns.append(self.name)

    for model, name in zip(pair.models, ("video", "audio"), strict=True):
        monkeypatch.setattr(model.pipe, "_all_hooks", [Hook(name)], raising=False)
    monkeypatch.setattr(pair, "_halves_wait", True)
    latents = pair.sample(requests())
    assert all(z.isfinite().all() for z in latents)
    assert _alternate(turns)


def _alternate(turns: Sequence[str]) -> bool:
    """Whether both halves were sent to rest, the audio first, for the video moves first."""
    return turns[0] == "audio" and set(turns) == {"video", "audio"}


def test_untrained_weights_are_of_published_size_unless_a_folder_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is built for --weights random; full sizes are in test_pipelines_full.py."""
    from mmbench.baselines.models.pipelines import full
    from mmbench.baselines.models.pipelines.loading import load_pipeline
    from mmbench.baselines.models.pipelines.tiny import make_tiny

    asked = list[str]()
    monkeypatch.setattr(full, "make_full", lambda name: asked.append(name) or make_tiny(name))
    system = system_of("wan_stableaudio", size="full", weights="random")
    components = system.spec()["components"]
    assert (components["video"]["content"], components["audio"]["content"]) == ("random", "random")
    pipe = load_pipeline(system._described.video, "random", "cpu", torch.bfloat16)
    assert asked == ["WanPipeline"]
    assert next(pipe.transformer.parameters()).dtype == torch.bfloat16
    assert not any(weight.requires_grad for weight in pipe.transformer.parameters())


def test_a_repository_that_is_not_here_says_how_to_fetch_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import DiffusionPipeline

    def offline(source: str, revision: str) -> None:
        raise OSError(f"{source} at {revision} is not cached")

    monkeypatch.setattr(DiffusionPipeline, "load_config", offline)
    system = system_of("wan_stableaudio", size="full", video_revision="a" * 40, audio_revision="b" * 40)
    assert system.spec()["components"]["audio"]["content"] == "b" * 40
    with pytest.raises(MMBenchError, match=f"hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers --revision {'a' * 40}"):
        system.pair()
