"""Latents of real clips: decoded by the pipeline's own call, they give what its autoencoder makes of the clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.baselines.models.pipelines.encoders import encode_audio, encode_video
from mmbench.baselines.models.pipelines.tiny import make_tiny
from mmbench.baselines.models.pipelines.views import view_of
from mmbench.baselines.parts.mel import log_mel
from mmbench.errors import UsageError
from mmbench.media.resample import resample_audio
from mmbench.types import Clip
from tests.baselines.test_pipeline_views import SEEN, latents_of

VIDEOS = [name for name, (_, shape) in SEEN.items() if len(shape) == 4]
RATES = {"AudioLDM2Pipeline": 16000, "AudioLDMPipeline": 16000}  # others: 8000


def video_for(call: dict[str, Any]) -> np.ndarray:
    """Frames of the size that a small pipeline is called for."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (call["num_frames"], call["height"], call["width"], 3), dtype=np.uint8)


def wave_for(rate: int, seconds: float = 2.0) -> np.ndarray:
    """Noise at half of full scale."""
    return np.random.default_rng(0).uniform(-0.5, 0.5, round(rate * seconds)).astype(np.float32)


def decoded(pipe: Any, call: dict[str, Any], latents: Tensor) -> Tensor:
    """What a pipeline's call makes of latents: its steps lead to them, whatever the model says."""
    kept = pipe.scheduler.step

    def step(*_: Any, return_dict: bool = True, **__: Any) -> Any:
        return SimpleNamespace(prev_sample=latents) if return_dict else (latents,)

    pipe.scheduler.step = step
    try:
        steps = {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(0), "output_type": "pt"}
        out = pipe("rain", **{**call, **steps})
    finally:
        pipe.scheduler.step = kept
    return torch.as_tensor(out.frames if hasattr(out, "frames") else out.audios)


def pixels(video: np.ndarray) -> Tensor:
    return torch.from_numpy(video).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def reconstructed(vae: Any, video: Tensor) -> Tensor:
    """(1, f, c, h, w) in [0, 1]: the autoencoder alone."""
    if video.shape[2] == 1 or type(vae).__name__ != "AutoencoderKL":
        out = vae.decode(vae.encode(video).latent_dist.mode()).sample
    else:
        out = vae.decode(vae.encode(video[0].transpose(0, 1)).latent_dist.mode()).sample.transpose(0, 1)[None]
    return (out / 2 + 0.5).clamp(0, 1).transpose(1, 2)


def scale_up(vae: Any) -> None:
    """Let an untrained decoder use more of the range of pixels, so that other latents are other pictures."""
    last = [p for n, p in vae.named_parameters() if n.startswith("decoder") and p.ndim > 3][-1]
    last.mul_(20)


@pytest.mark.parametrize("name", VIDEOS)
def test_a_pipeline_decodes_its_latents_of_a_video_to_what_its_autoencoder_makes_of_it(name: str) -> None:
    pipe, call = make_tiny(name)
    scale_up(pipe.vae)
    video = video_for(call)
    latents = encode_video(pipe, video)
    want = reconstructed(pipe.vae, pixels(video))
    assert want.std() > 1e-3
    assert view_of(pipe, latents.shape, call).shape_of(latents.shape) == SEEN[name][1]
    assert torch.allclose(decoded(pipe, call, latents[None]), want, atol=1e-4)


NORMALISED = [
    ("WanPipeline", "latents_mean"),
    ("WanPipeline", "latents_std"),
    ("LTXPipeline", "latents_mean"),
    ("LTXPipeline", "latents_std"),
    ("LTXPipeline", "scaling_factor"),
    ("CogVideoXPipeline", "scaling_factor"),
    ("AnimateDiffPipeline", "scaling_factor"),
    ("MochiPipeline", "latents_mean"),
    ("MochiPipeline", "latents_std"),
    ("MochiPipeline", "scaling_factor"),
]


@contextmanager
def neutral(vae: Any, part: str) -> Iterator[None]:
    """An autoencoder whose mean, deviation or factor of latents does nothing, inside the block."""
    value = 0.0 if part == "latents_mean" else 1.0
    if part in dict(vae.named_buffers()):
        kept = getattr(vae, part).clone()
        getattr(vae, part).fill_(value)
        yield
        getattr(vae, part).copy_(kept)
    else:
        kept = vae.config[part]
        vae.register_to_config(**{part: value if isinstance(kept, float) else [value] * len(kept)})
        yield
        vae.register_to_config(**{part: kept})


@pytest.mark.parametrize(("name", "part"), NORMALISED)
def test_each_part_of_a_normalisation_counts(name: str, part: str) -> None:
    """An encoder that left it out would fail the test above."""
    pipe, call = make_tiny(name)
    scale_up(pipe.vae)
    if name == "MochiPipeline":
        pipe.vae.register_to_config(scaling_factor=0.6)  # published: 1
    video = video_for(call)
    with neutral(pipe.vae, part):
        wrong = encode_video(pipe, video)
    want = reconstructed(pipe.vae, pixels(video))
    assert torch.allclose(decoded(pipe, call, encode_video(pipe, video)[None]), want, atol=1e-4)
    assert (decoded(pipe, call, wrong[None]) - want).abs().max() > 1e-2


def sounds(name: str) -> tuple[Any, dict[str, Any], np.ndarray, Tensor]:
    """A small pipeline, its arguments, two seconds of sound at its rate, and what its autoencoder makes of them."""
    pipe, call = make_tiny(name)
    wave = wave_for(RATES.get(name, 8000))
    vae, x = pipe.vae, torch.from_numpy(wave)[None, None]
    if name == "StableAudioPipeline":
        padded = F.pad(x, (0, 64 * 512 - len(wave))).repeat(1, 2, 1)
        return pipe, call, wave, vae.decode(vae.encode(padded).latent_dist.mode()).sample[..., : len(wave)]
    if name == "StableAudio3Pipeline":
        padded = F.pad(x, (0, 32 * 512 - len(wave))).repeat(1, 2, 1)
        return pipe, call, wave, vae.decode(vae.encode(padded).latents).sample[..., : len(wave)].clamp(-1, 1)
    if name == "LongCatAudioDiTPipeline":
        return pipe, call, wave, vae.decode(vae.encode(x[..., : 31 * 512], sample_posterior=False).latents).sample
    mel = vae.decode(vae.encode(log_mel(x[0], 1024, 64).mT[:, None]).latent_dist.mode()).sample
    return pipe, call, wave, pipe.vocoder(mel[:, 0])[:, : len(wave)]


@pytest.mark.parametrize("name", [name for name in SEEN if name not in VIDEOS])
@torch.no_grad()
def test_a_pipeline_decodes_its_latents_of_a_sound_to_what_its_autoencoder_makes_of_it(name: str) -> None:
    pipe, call, wave, want = sounds(name)
    latents = encode_audio(pipe, wave, RATES.get(name, 8000))
    view = view_of(pipe, latents.shape, call)
    assert view == SEEN[name][0]
    assert view.shape_of(latents.shape) == SEEN[name][1]
    assert latents.shape == latents_of(make_tiny(name)[0], call).shape[1:]
    assert want.std() > 1e-5
    assert torch.allclose(decoded(pipe, call, latents[None]), want, atol=1e-6 + 1e-3 * float(want.std()))


@torch.no_grad()
def test_the_factor_of_latents_of_log_mels_counts() -> None:
    pipe, _, wave, _ = sounds("AudioLDM2Pipeline")
    with neutral(pipe.vae, "scaling_factor"):
        plain = encode_audio(pipe, wave, 16000)
    assert torch.allclose(encode_audio(pipe, wave, 16000), plain * pipe.vae.config.scaling_factor, rtol=1e-5)
    assert pipe.vae.config.scaling_factor == 0.9138255715370178


def test_the_published_audioldm_and_its_pipeline_encode_alike() -> None:
    """The same front end as the pair of published models."""
    from mmbench.baselines.models.latent.audioldm import AudioLDM
    from mmbench.baselines.parts.loading import Parts

    model = AudioLDM(Parts("audioldm", "tiny"))
    pipe, _ = make_tiny("AudioLDMPipeline")
    pipe.vae = model.vae
    wave = wave_for(16000)
    assert torch.equal(encode_audio(pipe, wave, 16000), model.encode(wave))


def test_encoding_draws_nothing_and_repeats_itself() -> None:
    state = torch.get_rng_state()
    for name in SEEN:
        pipe, call = make_tiny(name)
        once, twice = (
            encode_video(pipe, video_for(call)) if name in VIDEOS else encode_audio(pipe, wave_for(8000), 8000)
            for _ in range(2)
        )
        assert torch.equal(once, twice), name
        assert (once.dtype, once.device.type, once.is_inference()) == (torch.float32, "cpu", False)
    assert torch.equal(torch.get_rng_state(), state)


def test_sounds_of_other_rates_are_resampled() -> None:
    pipe, _ = make_tiny("LongCatAudioDiTPipeline")
    wave = wave_for(16000)
    silent = Clip(np.zeros((0, 1, 1, 3), np.uint8), 1, wave, 16000)
    assert torch.equal(encode_audio(pipe, wave, 16000), encode_audio(pipe, resample_audio(silent, 8000).audio, 8000))


def test_lengths_that_are_no_whole_latent() -> None:
    """As the pipelines round what they are asked for: up with silence behind it, LongCat down."""
    lengths = {"StableAudio3Pipeline": 26, "LongCatAudioDiTPipeline": 25, "AudioLDM2Pipeline": 41}
    for name, length in lengths.items():
        pipe, call = make_tiny(name)
        seconds = next(key for key in call if key in ("duration", "audio_duration_s", "audio_length_in_s"))
        latents = encode_audio(pipe, wave_for(8000, 1.62), 8000)
        assert latents.shape == latents_of(pipe, call | {seconds: 1.62}).shape[1:]
        assert length in latents.shape, name


def test_a_sound_that_is_too_long_is_refused() -> None:
    pipe, _ = make_tiny("StableAudioPipeline")
    with pytest.raises(UsageError, match="33280 samples") as error:
        encode_audio(pipe, wave_for(8000, 4.16), 8000)
    assert error.value.expected == "at most 32768, the pipeline's longest"


def test_frames_that_an_autoencoder_would_drop_are_refused() -> None:
    pipe, call = make_tiny("WanPipeline")
    with pytest.raises(UsageError, match="16 frames, of which AutoencoderKLWan would drop 3") as error:
        encode_video(pipe, video_for(call)[:16])
    assert error.value.expected == "13 or 17 frames"


def test_cogvideox_1_5_repeats_the_first_latent() -> None:
    pipe, call = make_tiny("CogVideoXPipeline")
    latents = encode_video(pipe, video_for(call))
    pipe.transformer.register_to_config(patch_size_t=2)
    padded = encode_video(pipe, video_for(call))
    assert torch.equal(padded, torch.cat([latents[:1], latents]))
    assert torch.equal(view_of(pipe, padded.shape, call)(padded[None])[0], latents.transpose(0, 1))


WIDTHS: dict[str, Any] = {"block_out_channels": (8,) * 4, "layers_per_block": 1}
FACTORS = [  # pipeline, autoencoder, its sizes, where the pipeline keeps its ratio, shape of the latents of 5 x 32 x 32
    (
        "Kandinsky5T2VPipeline",
        "HunyuanVideo",
        WIDTHS | {"norm_num_groups": 2},
        "vae_scale_factor_temporal",
        (2, 4, 4, 16),
    ),
    (
        "HunyuanVideoPipeline",
        "HunyuanVideo",
        WIDTHS | {"norm_num_groups": 2},
        "vae_scale_factor_temporal",
        (16, 2, 4, 4),
    ),
    (
        "HunyuanVideo15Pipeline",
        "HunyuanVideo15",
        {**WIDTHS, "block_out_channels": (32, 32, 32, 32, 64)},
        "vae_scale_factor_temporal",
        (32, 2, 2, 2),
    ),
    ("EasyAnimatePipeline", "Magvit", WIDTHS | {"norm_num_groups": 2}, "vae_temporal_compression_ratio", (16, 2, 4, 4)),
]


@pytest.mark.parametrize(("name", "kind", "sizes", "ratio", "shape"), FACTORS)
def test_latents_that_are_scaled_alone(name: str, kind: str, sizes: Any, ratio: str, shape: tuple[int, ...]) -> None:
    """Decoded as these pipelines' calls do: channels first, divided by the factor (diffusers 0.42.1)."""
    torch.manual_seed(0)
    vae = getattr(diffusers, f"AutoencoderKL{kind}")(**sizes).eval()
    pipe = type(name, (), {"vae": vae, ratio: 4})()
    video = video_for({"num_frames": 5, "height": 32, "width": 32})
    latents = encode_video(pipe, video)
    assert latents.shape == shape
    view = view_of(pipe, latents.shape, {})
    with torch.no_grad():
        found = vae.decode(view(latents[None]) / vae.config.scaling_factor).sample
        want = vae.decode(vae.encode(pixels(video)).latent_dist.mode()).sample
        other = vae.decode(view(latents[None])).sample
    assert torch.allclose(found, want, atol=1e-4)
    assert not torch.allclose(other, want, atol=1e-3)


def test_unknown_autoencoders_are_named() -> None:
    pipe = SimpleNamespace(vae=SimpleNamespace())
    with pytest.raises(UsageError, match="Nothing encodes video with SimpleNamespace") as error:
        encode_video(pipe, np.zeros((5, 16, 16, 3), np.uint8))
    assert "AutoencoderKLWan" in error.value.expected
    assert "encoders.py" in error.value.next
    with pytest.raises(UsageError, match="Nothing encodes sound with SimpleNamespace"):
        encode_audio(pipe, wave_for(8000), 8000)
