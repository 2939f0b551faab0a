"""What a discriminator sees of pipelines' latents: nothing is lost but padding, and times are those of the pictures."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.baselines.models.pipelines.rates import latent_times, pictures_per_latent, sound_grid, video_times
from mmbench.baselines.models.pipelines.tiny import make_tiny
from mmbench.baselines.models.pipelines.views import View, from_layout, least_unshuffle, to_layout, view_of
from mmbench.errors import UsageError
from mmbench.mmdisco.design import for_latents
from mmbench.mmdisco.discriminator import Discriminator

SEEN: dict[str, tuple[View, tuple[int, ...]]] = {  # of the small pipelines, two seconds
    "WanPipeline": (View(), (16, 5, 4, 4)),
    "LTXPipeline": (View("packed", (3, 4, 4)), (8, 3, 4, 4)),
    "CogVideoXPipeline": (View("frames_first", (5,)), (4, 5, 4, 4)),
    "AnimateDiffPipeline": (View(), (4, 16, 4, 4)),
    "MochiPipeline": (View(), (12, 4, 4, 4)),
    "StableAudioPipeline": (View(stop=32), (8, 32)),  # of 64
    "StableAudio3Pipeline": (View(), (8, 32)),
    "AudioLDM2Pipeline": (View(), (8, 50, 16)),
    "AudioLDMPipeline": (View(), (8, 50, 16)),
    "LongCatAudioDiTPipeline": (View("channels_last"), (8, 31)),
}


def latents_of(pipe: Any, call: dict[str, Any]) -> Tensor:
    """The latents that a pipeline hands to the first step of its scheduler."""

    class Stop(Exception):
        pass

    found: list[Tensor] = []

    def step(prediction: Tensor, t: Any, sample: Tensor, *rest: Any, **more: Any) -> Any:
        found.append(sample)
        raise Stop

    pipe.scheduler.step = step
    with pytest.raises(Stop):
        pipe("rain", **call, generator=torch.Generator().manual_seed(0))
    return found[0]


@pytest.mark.parametrize("name", SEEN)
def test_the_view_of_each_pipeline(name: str) -> None:
    pipe, call = make_tiny(name)
    latents = latents_of(pipe, call)
    view, shape = SEEN[name]
    found = view_of(pipe, latents.shape[1:], call)
    assert found == view
    assert View(**json.loads(json.dumps(asdict(found)))) == view
    seen = view(latents)
    assert tuple(seen.shape[1:]) == shape == view.shape_of(latents.shape[1:])


def test_ltx_is_unpacked_as_its_pipeline_does() -> None:
    from diffusers import LTXPipeline

    packed = torch.arange(2 * 3 * 4 * 5 * 6.0).reshape(2, 60, 6)
    assert torch.equal(View("packed", (3, 4, 5))(packed), LTXPipeline._unpack_latents(packed, 3, 4, 5))


@pytest.mark.parametrize("layout", ["channels_first", "frames_first", "channels_last", "packed"])
def test_layouts_lose_nothing(layout: Any) -> None:
    latents = torch.randn(2, 6, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    moved = to_layout(latents, layout)
    assert torch.equal(from_layout(moved, layout, (3, 4, 5)), latents)
    assert (tuple(moved.shape) == tuple(latents.shape)) == (layout == "channels_first")


def test_frames_that_share_an_axis_with_the_batch_are_told_apart() -> None:
    latents = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))  # two samples, three frames
    view = View("frames_first", (3,))
    assert torch.equal(view(latents.flatten(0, 1)), latents.transpose(1, 2))
    assert torch.equal(view(latents), latents.transpose(1, 2))


def test_unshuffling_loses_nothing_and_keeps_time_and_neighbours() -> None:
    latents = torch.randn(2, 4, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    seen = View(unshuffle=2)(latents)
    assert seen.shape == (2, 16, 3, 3, 4)
    back = torch.nn.functional.pixel_shuffle(seen.transpose(1, 2), 2).transpose(1, 2)
    assert torch.equal(back, latents)
    assert torch.equal(seen[:, :4, 1], latents[:, 0, 1].unfold(1, 2, 2).unfold(2, 2, 2).flatten(3).permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("view", "shape", "kept"),
    [
        (View(unshuffle=2), (4, 3, 6, 8), 4 * 3 * 6 * 8),
        (View("packed", (3, 4, 6), unshuffle=2), (72, 5), 72 * 5),
        (View("frames_first", start=1), (4, 3, 2, 2), 3 * 3 * 2 * 2),
        (View(stop=5), (7, 9), 7 * 5),
        (View("channels_last"), (9, 7), 63),
    ],
)
def test_the_gradient_of_a_view_is_one_on_what_it_keeps(view: View, shape: tuple[int, ...], kept: int) -> None:
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.arange(1.0, kept + 1).reshape(1, *view.shape_of(shape))
    (gradient,) = torch.autograd.grad((weights * view(x)).sum(), x)
    assert sorted(gradient[gradient != 0].tolist()) == list(range(1, kept + 1))
    assert torch.allclose(view(3 * x), 3 * view(x))


def test_published_sizes() -> None:
    """Wan at 480 x 832, CogVideoX at 480 x 720, LTX at 512 x 704; Stable Audio makes 1024 latents for any length."""
    wan, _ = make_tiny("WanPipeline")
    assert view_of(wan, (16, 9, 60, 104), {}).shape_of((16, 9, 60, 104)) == (64, 9, 30, 52)
    assert view_of(wan, (16, 9, 60, 104), {}, unshuffle=4).shape_of((16, 9, 60, 104)) == (256, 9, 15, 26)
    assert [least_unshuffle(*size) for size in ((60, 104), (60, 90), (16, 22), (32, 32), (90, 160), (65, 104))] == [
        *(2, 2, 1, 1, 2, 1)
    ]
    published = SimpleNamespace(sampling_rate=44100, decoder_input_channels=64)
    stable_audio, _ = make_tiny("StableAudioPipeline")
    stable_audio.vae.register_to_config(**vars(published))
    stable_audio.vae.hop_length = 2048
    view = view_of(stable_audio, (64, 1024), {"audio_end_in_s": 2.0})
    assert view.shape_of((64, 1024)) == (64, 44)
    assert view_of(stable_audio, (64, 1024), {}).shape_of((64, 1024)) == (64, 1024)
    later = {"audio_start_in_s": 1.0, "audio_end_in_s": 3.0}
    assert view_of(stable_audio, (64, 1024), later) == View(start=21, stop=65)


def test_padding_of_cogvideox_1_5_is_left_out() -> None:
    pipe, call = make_tiny("CogVideoXPipeline")
    pipe.transformer.register_to_config(patch_size_t=2)
    view = view_of(pipe, (6, 4, 4, 4), call)  # 17 frames are five latents, and one before them
    assert view == View("frames_first", (6,), start=1)
    assert view.shape_of((6, 4, 4, 4)) == (4, 5, 4, 4)


def test_channels_in_another_place_are_an_error() -> None:
    pipe, call = make_tiny("WanPipeline")
    with pytest.raises(UsageError, match="have 5 channels where channels_first has them") as error:
        view_of(pipe, (5, 16, 4, 4), call)
    assert error.value.expected.startswith("16")


def test_frames_that_share_an_axis_are_asked_for_with_their_number() -> None:
    pipe, call = make_tiny("CogVideoXPipeline")
    with pytest.raises(UsageError, match="how many frames"):
        view_of(pipe, (4, 4, 4), call)


def test_times_of_latents() -> None:
    wan, _ = make_tiny("WanPipeline")
    animatediff, _ = make_tiny("AnimateDiffPipeline")
    longcat, _ = make_tiny("LongCatAudioDiTPipeline")
    assert latent_times(wan, 4, 16) == tuple(Fraction(k, 16) for k in (0, 1, 5, 9))
    assert latent_times(animatediff, 3, 8) == (0, Fraction(1, 8), Fraction(1, 4))
    assert video_times(wan, longcat, 3, 16) == (0, 8000 / 512 / 16, 5 * 8000 / 512 / 16)
    ratios = {name: pictures_per_latent(make_tiny(name)[0]) for name in SEEN if len(SEEN[name][1]) == 4}
    assert list(ratios.values()) == [4, 8, 4, 1, 6]
    for name, ratio in ratios.items():
        _, call = make_tiny(name)
        assert SEEN[name][1][1] == (call["num_frames"] - 1) // ratio + 1, name


def test_sounds_have_as_many_latents_as_their_rate_says() -> None:
    for name, (_, shape) in SEEN.items():
        if len(shape) < 4:
            rate, samples = sound_grid(make_tiny(name)[0])
            assert abs(shape[1] - 2 * rate / samples) < 1, name


def test_unknown_autoencoders_are_named() -> None:
    pipe = SimpleNamespace(vae=SimpleNamespace())
    for function in (pictures_per_latent, sound_grid):
        with pytest.raises(UsageError, match="SimpleNamespace"):
            function(pipe)


@pytest.mark.parametrize(
    ("video", "audio"),
    [
        ("WanPipeline", "StableAudioPipeline"),
        ("LTXPipeline", "StableAudio3Pipeline"),
        ("CogVideoXPipeline", "AudioLDM2Pipeline"),
        ("MochiPipeline", "LongCatAudioDiTPipeline"),
    ],
)
@torch.enable_grad()
def test_a_discriminator_guides_the_latents_of_a_pair(video: str, audio: str) -> None:
    """Its gradient comes back in the pipelines' own layouts: on every element of the clip, on none beside it."""
    halves = [make_tiny(name) for name in (video, audio)]
    latents = [latents_of(*half).float().requires_grad_() for half in halves]
    views = [view_of(pipe, x.shape[1:], call) for (pipe, call), x in zip(halves, latents, strict=True)]
    shapes = [view.shape_of(x.shape[1:]) for view, x in zip(views, latents, strict=True)]
    times = video_times(halves[0][0], halves[1][0], shapes[0][1], 8)
    sizes = {"num_blocks": 1, "fusion_channels": 32, "fusion_layers": 1, "video_times": times}
    texts = {"video_text_channels": None, "audio_text_channels": None}
    model = Discriminator(for_latents("res_frieren", *shapes, channels=32, **sizes, **texts))
    seen = [view(x) for view, x in zip(views, latents, strict=True)]
    gradients = torch.autograd.grad(model(*seen, torch.tensor([500])).sum(), latents)
    for view, x, gradient in zip(views, latents, gradients, strict=True):
        (kept,) = torch.autograd.grad(view(x).sum(), x)
        assert torch.equal(gradient != 0, kept != 0)
