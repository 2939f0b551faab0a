"""Clean latents of real clips, as a pipeline's denoiser knows them: its layout and normalisation, the posterior's mode.

One small function per autoencoder. Each undoes what the pipeline's call does before it decodes (diffusers 0.42.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.baselines.models.latent.audioldm import N_FFT
from mmbench.baselines.models.pipelines.rates import pictures_per_latent, sound_grid
from mmbench.baselines.models.pipelines.views import front_padding, layout_of, to_layout
from mmbench.baselines.parts.mel import HOP_LENGTH, SAMPLE_RATE, log_mel
from mmbench.errors import UsageError
from mmbench.media.resample import resample_audio
from mmbench.types import Clip

Encoder = Callable[[Any, Tensor], Tensor]  # (pipeline, (1, c, ...) of a clip) -> (1, c, ...) latents, channels first


def mode(vae: Any, x: Tensor) -> Tensor:
    """The most likely latent of (1, c, ...) input, float32."""
    return vae.encode(x.to(vae.device, vae.dtype)).latent_dist.mode().float()


def scaled(pipe: Any, video: Tensor) -> Tensor:
    """HunyuanVideo's, EasyAnimate's and CogVideoX's, whose `invert_scale_latents` is of conditioning pictures alone."""
    return mode(pipe.vae, video) * pipe.vae.config.scaling_factor


def cogvideox(pipe: Any, video: Tensor) -> Tensor:
    """Scaled; CogVideoX 1.5's first latent is repeated where an even number is needed.

    Source: THUDM/CogVideo@aa240dc:finetune/models/cogvideox1dot5_t2v/lora_trainer.py.
    """
    latents = scaled(pipe, video)
    return torch.cat([latents[:, :, :1]] * front_padding(pipe, video.shape[2]) + [latents], dim=2)


def frame_by_frame(pipe: Any, video: Tensor) -> Tensor:
    """AnimateDiff's: Stable Diffusion's pictures, scaled."""
    return scaled(pipe, video[0].transpose(0, 1)).transpose(0, 1)[None]


def wan(pipe: Any, video: Tensor) -> Tensor:
    """Each channel with mean 0 and deviation 1 by the config's table."""
    return _standard(mode(pipe.vae, video), pipe.vae.config.latents_mean, pipe.vae.config.latents_std)


def ltx(pipe: Any, video: Tensor) -> Tensor:
    """Standardised by the autoencoder's buffers, then scaled."""
    latents = _standard(mode(pipe.vae, video), pipe.vae.latents_mean, pipe.vae.latents_std)
    return latents * pipe.vae.config.scaling_factor


def mochi(pipe: Any, video: Tensor) -> Tensor:
    """Standardised where the config has a table, then scaled."""
    latents, config = mode(pipe.vae, video), pipe.vae.config
    if config.latents_mean is not None and config.latents_std is not None:
        latents = _standard(latents, config.latents_mean, config.latents_std)
    return latents * config.scaling_factor


def _standard(latents: Tensor, mean: Any, std: Any) -> Tensor:
    mean, std = (
        torch.as_tensor(x, dtype=torch.float32, device=latents.device).view(1, -1, 1, 1, 1) for x in (mean, std)
    )
    return (latents - mean) / std


VIDEO: Mapping[str, Encoder] = {
    "AutoencoderKL": frame_by_frame,
    "AutoencoderKLCogVideoX": cogvideox,
    "AutoencoderKLHunyuanVideo": scaled,
    "AutoencoderKLHunyuanVideo15": scaled,
    "AutoencoderKLLTXVideo": ltx,
    "AutoencoderKLMagvit": scaled,
    "AutoencoderKLMochi": mochi,
    "AutoencoderKLWan": wan,
}


@torch.no_grad()
def encode_video(pipe: Any, frames: np.ndarray) -> Tensor:
    """The clean latents of a real video, float32 on the CPU, in the pipeline's layout without the batch.

    Args:
        pipe: A text-to-video pipeline.
        frames: (t, h, w, 3) uint8 of a size, number and rate that the pipeline makes.

    Raises:
        UsageError: The autoencoder is not known, or would drop frames of this number.
    """
    encode = _known(VIDEO, pipe, "video")
    ratio = pictures_per_latent(pipe)
    if (len(frames) - 1) % ratio:
        fewer = (len(frames) - 1) // ratio * ratio + 1
        found = f"{len(frames)} frames, of which {type(pipe.vae).__name__} would drop {len(frames) - fewer}."
        raise UsageError(found, f"{fewer} or {fewer + ratio} frames", f"cut the clip to {fewer} frames")
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    return to_layout(encode(pipe, video), layout_of(pipe))[0].cpu().contiguous()


def oobleck(pipe: Any, wave: Tensor) -> Tensor:
    """Stable Audio's, of its longest sound, silence behind the clip; other pipelines' of the clip alone."""
    _, samples = sound_grid(pipe)
    longest = pipe.transformer.config.sample_size * samples if type(pipe).__name__ == "StableAudioPipeline" else 0
    return mode(pipe.vae, _channels(_padded(wave, samples, longest), pipe.vae.config.audio_channels))


def same(pipe: Any, wave: Tensor) -> Tensor:
    """Stable Audio 3's, silence behind the clip up to a whole latent; the encoder has no posterior."""
    vae = pipe.vae
    wave = _channels(_padded(wave, sound_grid(pipe)[1]), vae.config.audio_channels)
    return vae.encode(wave.to(vae.device, vae.dtype)).latents.float()


def longcat(pipe: Any, wave: Tensor) -> Tensor:
    """LongCat-AudioDiT's, without the last samples where they are no whole latent; the autoencoder scales."""
    samples = sound_grid(pipe)[1]
    wave = wave[..., : wave.shape[-1] // samples * samples]
    return pipe.vae.encode(wave.to(pipe.vae.device), sample_posterior=False).latents


def log_mel_latents(pipe: Any, wave: Tensor) -> Tensor:
    """AudioLDM's and AudioLDM2's, (1, c, t, m) of log mels, silence behind the clip up to a whole latent."""
    vocoder = pipe.vocoder.config
    found = vocoder.sampling_rate, math.prod(vocoder.upsample_rates)
    if found != (SAMPLE_RATE, HOP_LENGTH):
        wanted = f"{SAMPLE_RATE} Hz and {HOP_LENGTH}, those of AudioLDM's log mels"
        raise UsageError(f"The vocoder has {found[0]} Hz and {found[1]} samples per frame.", wanted)
    wave = _padded(wave[..., : wave.shape[-1] // HOP_LENGTH * HOP_LENGTH], sound_grid(pipe)[1])
    mel = log_mel(wave[0].to(pipe.vae.device), N_FFT, vocoder.model_in_dim).mT[:, None]
    return mode(pipe.vae, mel) * pipe.vae.config.scaling_factor


AUDIO: Mapping[str, Encoder] = {
    "AutoencoderKL": log_mel_latents,
    "AutoencoderOobleck": oobleck,
    "AutoencoderSAME": same,
    "LongCatAudioDiTVae": longcat,
}


@torch.no_grad()
def encode_audio(pipe: Any, audio: np.ndarray, sample_rate: int) -> Tensor:
    """The clean latents of a real sound, float32 on the CPU, in the pipeline's layout without the batch.

    Args:
        pipe: A text-to-audio pipeline.
        audio: (s,) float32 mono in [-1, 1]; it is resampled to the pipeline's rate.
        sample_rate: Of `audio` [Hz].

    Raises:
        UsageError: The autoencoder is not known, or the sound is longer than the pipeline makes.
    """
    encode = _known(AUDIO, pipe, "sound")
    clip = Clip(np.zeros((0, 1, 1, 3), np.uint8), Fraction(1), audio, sample_rate)
    wave = torch.from_numpy(resample_audio(clip, sound_grid(pipe)[0]).audio)[None, None]
    return to_layout(encode(pipe, wave), layout_of(pipe))[0].cpu().contiguous()


def _known(encoders: Mapping[str, Encoder], pipe: Any, kind: str) -> Encoder:
    name = type(pipe.vae).__name__
    if name not in encoders:
        found = f"Nothing encodes {kind} with {name}, the autoencoder of {type(pipe).__name__}."
        raise UsageError(
            found, f"one of {', '.join(encoders)}", "add a function of it to baselines/models/pipelines/encoders.py"
        )
    return encoders[name]


def _padded(wave: Tensor, samples: int, longest: int = 0) -> Tensor:
    """(1, 1, s) with silence behind it: up to a multiple of `samples`, or to `longest` samples if there is one."""
    length = longest or math.ceil(wave.shape[-1] / samples) * samples
    if wave.shape[-1] > length:
        raise UsageError(f"The sound has {wave.shape[-1]} samples.", f"at most {length}, the pipeline's longest")
    return F.pad(wave, (0, length - wave.shape[-1]))


def _channels(wave: Tensor, channels: int) -> Tensor:
    """Mono in each of `channels`."""
    return wave.expand(-1, channels, -1)
