"""Latents of real clips: decoded by the pipeline's own call, they give what its autoencoder makes of the clip."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.baselines.models.pipelines import encoders
from mmbench.baselines.models.pipelines.encoders import encode_audio, encode_video, mode
from mmbench.baselines.models.pipelines.tiny import make_tiny
from mmbench.baselines.models.pipelines.views import layout_of, to_layout, view_of
from mmbench.baselines.parts.mel import log_mel
from mmbench.errors import UsageError
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


@pytest.mark.parametrize(("name", "part"), NORMALISED)
def test_each_part_of_a_normalisation_counts(name: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that left it out would fail the test above."""
    pipe, call = make_tiny(name)
    scale_up(pipe.vae)
    if name == "MochiPipeline":
        pipe.vae.register_to_config(scaling_factor=0.6)
    video = video_for(call)
    right, want = encode_video(pipe, video), reconstructed(pipe.vae, pixels(video))
    assert torch.allclose(decoded(pipe, call, right[None]), want, atol=1e-4)
    neutral = 0.0 if part == "latents_mean" else 1.0
    kept = getattr(pipe.vae, part) if hasattr(pipe.vae, part) else pipe.vae.config[part]
    neutrals = neutral * torch.ones(len(kept)) if isinstance(kept, Tensor) else neutral
    if isinstance(kept, Tensor):
        setattr(pipe.vae, part, neutrals)
    else:
        pipe.vae.register_to_config(**{part: [neutral] * len(kept) if hasattr(kept, "__len__") else neutral})
    wrong = encode_video(pipe, video)
    if isinstance(kept, Tensor):
        setattr(pipe.vae, part, kept)
    else:
        pipe.vae.register_to_config(**{part: kept})
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
