"""Discriminators of today's latents: their sizes, pools of sound in one dimension, frames at uneven times."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.errors import UsageError
from mmbench.mmdisco.design import DiscriminatorConfig, for_latents, largest_divisor, out_of_domain
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.fusion import covering
from mmbench.mmdisco.losses import Noised, mmdisco_losses
from mmbench.mmdisco.memory import predict_training_memory
from mmbench.mmdisco.residual import convolve_same
from mmbench.mmdisco.training_config import TrainConfig
from mmbench.types import DESIGNS
from tests.mmdisco.plain import plain_logit
from tests.mmdisco.test_discriminator import SMALL, build, inputs

SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {  # as a discriminator sees 2 s
    "wan_stableaudio": ((64, 9, 30, 52), (64, 44)),
    "ltx_stableaudio3": ((128, 7, 16, 22), (256, 22)),
    "cogvideox_audioldm2": ((64, 5, 30, 45), (8, 50, 16)),
}
TEXTS: dict[str, tuple[int, int]] = {
    "wan_stableaudio": (4096, 768),
    "ltx_stableaudio3": (4096, 768),
    "cogvideox_audioldm2": (4096, 512),
}
TINY: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {  # the same kinds, odd sizes among them
    "long_sound": ((8, 4, 6, 10), (6, 11)),
    "long_video": ((8, 9, 4, 4), (6, 8)),
    "spectrum": ((8, 3, 6, 9), (4, 10, 8)),
}


def causal_times(num_frames: int, num_steps: int, ratio: int = 4) -> tuple[float, ...]:
    """Starts, in audio steps, of latents of 1, `ratio`, `ratio`, ... pictures that last as long as the audio."""
    per_picture = num_steps / (1 + ratio * (num_frames - 1))
    return (0.0, *((1 + ratio * k) * per_picture for k in range(num_frames - 1)))


def tiny(design: Any, name: str, **settings: Any) -> DiscriminatorConfig:
    video, audio = TINY[name]
    times = causal_times(video[1], audio[1])
    texts = {"video_text_channels": 12, "audio_text_channels": 20, "video_times": times}
    return for_latents(design, video, audio, **{**SMALL, **texts, **settings})


@pytest.mark.parametrize(
    ("name", "design", "count"),
    [
        ("wan_stableaudio", "res_mlp", 102_605_313),
        ("wan_stableaudio", "res_frieren", 108_286_721),
        ("wan_stableaudio", "vit_frieren", 14_209_537),
        ("ltx_stableaudio3", "res_frieren", 108_581_633),
        ("ltx_stableaudio3", "vit_frieren", 14_119_937),
        ("cogvideox_audioldm2", "res_frieren", 139_254_529),
        ("cogvideox_audioldm2", "vit_frieren", 13_970_177),
    ],
)
def test_parameter_counts(name: str, design: Any, count: int) -> None:
    texts = dict(zip(("video_text_channels", "audio_text_channels"), TEXTS[name], strict=True))
    with torch.device("meta"):
        model = Discriminator(for_latents(design, *SHAPES[name], **texts))
    assert sum(p.numel() for p in model.parameters()) == count


def test_the_published_shapes_have_the_published_patches() -> None:
    for design in DESIGNS:
        assert for_latents(design, (4, 16, 32, 32), (8, 50, 16)) == replace(
            out_of_domain(design), audio_pool=1, channels=256, embed_channels=256
        )


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("design", ["res_naive", "vit_frieren"])
def test_every_element_of_a_latent_moves_h(name: str, design: Any) -> None:
    """Also the last row and column of a grid that pools or patches would not divide."""
    texts = {"video_text_channels": 4, "audio_text_channels": 4}
    config = for_latents(design, *SHAPES[name], **{**SMALL, **texts})
    model = build(config).float()
    video, audio, t, *rest = (z.float() if z.is_floating_point() else z for z in inputs(config, n=1))
    gradients = torch.autograd.grad(model(video, audio, t, *rest).sum(), (video, audio))
    assert [float((g == 0).float().mean()) for g in gradients] == [0, 0]


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("pool", [1, 2])
def test_second_gradients_equal_the_plain_implementation(name: str, design: Any, pool: int) -> None:
    config = tiny(design, name, audio_pool=pool)
    model = build(config)
    state = dict(model.named_parameters())
    video, audio, *rest = inputs(config)

    def derivatives(h: Tensor) -> list[Tensor]:
        first = torch.autograd.grad(h.square().sum(), (video, audio), create_graph=True)
        loss = sum(g.square().sum() for g in first) + h.sum()
        return [h, *first, *torch.autograd.grad(loss, [video, audio, *state.values()], materialize_grads=True)]

    ours, plain = derivatives(model(video, audio, *rest)), derivatives(plain_logit(state, config, video, audio, *rest))
    for part, a, b in zip(["h", "gx", "gy", "gx'", "gy'", *state], ours, plain, strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-9 * max(1.0, b.detach().abs().max().item())), part


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("design", DESIGNS)
def test_a_training_step_at_full_shape_reaches_every_weight(name: str, design: Any) -> None:
    texts = {"video_text_channels": 4, "audio_text_channels": 4}
    video, audio = SHAPES[name]
    small = SMALL | {"channel_mult": (1, 1, 1), "video_times": causal_times(video[1], audio[1])}
    config = for_latents(design, video, audio, **{**small, **texts})
    model = build(config).float()
    x, y, t, *rest = (z.detach().float() if z.is_floating_point() else z for z in inputs(config, n=1))
    batch = Noised((x, y), (x.flip(2), y.flip(2)), t, text=tuple(rest))
    alphas = torch.linspace(0.99, 0.01, 1000, dtype=torch.float64)
    losses = mmdisco_losses(model, lambda x, y, t, c: (0 * x, 0 * y), (alphas, alphas), batch, batch)
    losses.total.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("pool", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 4, 8])
@pytest.mark.parametrize("length", [44, 43])
def test_a_pooled_convolution_is_the_mean_of_the_plain_one(pool: int, dilation: int, length: int) -> None:
    g = torch.Generator().manual_seed(0)
    conv = nn.Conv1d(5, 6, 3, padding=dilation, dilation=dilation).double()
    x = torch.randn(2, 5, length, generator=g, dtype=torch.float64)
    want = F.avg_pool1d(conv(x), pool)
    got = convolve_same(x.transpose(1, 2).unsqueeze(2), conv, (dilation, 1), (pool, 1))
    assert got.shape == (2, length // pool, 1, 6)
    assert torch.allclose(got.squeeze(2).transpose(1, 2), want, rtol=1e-10, atol=1e-12)


def test_frames_at_even_times_are_repeated_as_by_interpolation() -> None:
    for num_frames, num_steps in [(16, 50), (5, 44), (9, 9), (7, 3), (12, 5), (50, 16)]:
        starts = tuple(k * num_steps / num_frames for k in range(num_frames))
        for place, count in zip(covering(starts, num_steps), (num_frames, num_steps), strict=True):
            even = F.interpolate(torch.arange(count, dtype=torch.float64)[None, None], max(num_frames, num_steps))
            assert place == even.flatten().int().tolist(), (num_frames, num_steps)


def test_a_causal_first_latent_covers_a_single_picture() -> None:
    """9 latents of 33 pictures at 16 per second, 44 steps of sound at 21.5: evenly, the first would cover 5 steps."""
    starts = (0.0, *((1 + 4 * k) / 16 * 44100 / 2048 for k in range(8)))
    video, audio = covering(starts, 44)
    assert [video.count(k) for k in range(9)] == [2, 5, 6, 5, 5, 6, 5, 6, 4]
    assert audio == list(range(44))
    model = build(tiny("res_frieren", "long_sound"))
    even = build(replace(model.config, video_times=None))
    x = inputs(model.config)
    assert not torch.allclose(model(*x), even(*x))
    assert model.state_dict().keys() == even.state_dict().keys()


def test_pools_and_patches_carry_the_times_along() -> None:
    times = (0.0, 2.0, 8.0, 14.0, 20.0)
    shapes = (8, 5, 4, 4), (6, 26)
    assert for_latents("res_frieren", *shapes, video_times=times, audio_pool=2).feature_starts == (0, 0.5, 2, 3.5, 5)
    vit = for_latents("vit_frieren", *shapes, video_times=times, video_patch=(2, 4, 4), audio_patch=(4,))
    assert vit.feature_starts == (0, 2)  # of frames 0 and 1, 2 and 3; the last has no partner
    spectrum = for_latents("res_frieren", (8, 5, 4, 4), (6, 26, 8), video_times=times)
    assert spectrum.feature_starts == times  # where only mel is pooled


def test_a_config_from_before_these_fields_means_what_it_meant() -> None:
    config = out_of_domain("res_frieren")
    old = {k: v for k, v in asdict(config).items() if k not in ("audio_pool", "video_times")}
    assert DiscriminatorConfig(**old) == config
    assert (config.audio_pool, config.feature_starts) == (4, None)


def test_wrong_times_and_pools_are_refused() -> None:
    for times in [(), (1.0, 2.0), (0.0, 2.0, 2.0)]:
        with pytest.raises(UsageError, match="begin at"):
            tiny("res_frieren", "long_sound", video_times=times)
    with pytest.raises(UsageError, match="audio_pool=0"):
        tiny("res_frieren", "long_sound", audio_pool=0)
    config = tiny("res_frieren", "long_sound", video_times=(0.0, 1.0, 2.0))
    with pytest.raises(UsageError, match="4 features of a video") as error:
        build(config)(*inputs(config))
    assert error.value.expected == "3, one for each of its video_times"


def test_divisors() -> None:
    assert [largest_divisor(n, 4) for n in (30, 45, 52, 22, 7, 1)] == [3, 3, 4, 2, 1, 1]


def test_the_memory_of_a_training_is_predicted_with_times() -> None:
    config = TrainConfig(tiny("res_frieren", "long_sound"), batch_size=2)
    even = replace(config, discriminator=replace(config.discriminator, video_times=None))
    shapes, texts = TINY["long_sound"], [(12,), (20,)]
    assert (
        predict_training_memory(config, shapes, texts).weights == predict_training_memory(even, shapes, texts).weights
    )
