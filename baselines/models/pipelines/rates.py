"""How the pictures and samples of a clip fall on a pipeline's latents: rates, and the time when each latent begins."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import accumulate
from typing import Any

from mmbench.errors import UsageError
from mmbench.media.resample import exact_rate

CAUSAL = (  # autoencoders whose first latent is one picture, as the others' are several
    "AutoencoderKLWan",
    "AutoencoderKLLTXVideo",
    "AutoencoderKLCogVideoX",
    "AutoencoderKLMochi",
    "AutoencoderKLMagvit",
    "AutoencoderKLHunyuanVideo",
    "AutoencoderKLHunyuanVideo15",
)
RATIOS = (
    "vae_scale_factor_temporal",
    "vae_temporal_compression_ratio",
    "vae_temporal_scale_factor",
)  # pipelines' names


def pictures_per_latent(pipe: Any) -> int:
    """How many pictures a latent of a video pipeline stands for, but for the first one of a causal autoencoder.

    Raises:
        UsageError: The autoencoder is not known.
    """
    name = type(pipe.vae).__name__
    if name == "AutoencoderKL":
        return 1
    if name not in CAUSAL:
        known = ", ".join(("AutoencoderKL", *CAUSAL))
        raise UsageError(f"How {name} divides time is not known.", f"one of {known}", "add it to rates.CAUSAL")
    return int(next(getattr(pipe, ratio) for ratio in RATIOS if hasattr(pipe, ratio)))


def latent_times(pipe: Any, num_latents: int, fps: Fraction | float) -> tuple[Fraction, ...]:
    """When each latent of a video begins [s]: the first is one picture, each other `pictures_per_latent`.

    Args:
        pipe: A text-to-video pipeline.
        num_latents: How many there are.
        fps: Pictures per second.
    """
    pictures = accumulate([1] + [pictures_per_latent(pipe)] * (num_latents - 2), initial=0)
    return tuple(count / exact_rate(fps) for count in pictures)[:num_latents]


def sound_grid(pipe: Any) -> tuple[int, int]:
    """The sample rate [Hz] of a sound pipeline, and how many samples one step of its latents stands for.

    Raises:
        UsageError: The autoencoder is not known.
    """
    vae, name = pipe.vae, type(pipe.vae).__name__
    if name == "AutoencoderOobleck":
        return vae.config.sampling_rate, vae.hop_length
    if name == "AutoencoderSAME":
        return vae.config.sampling_rate, vae.downsampling_ratio
    if name == "LongCatAudioDiTVae":
        return vae.config.sample_rate, vae.config.downsampling_ratio
    if name == "AutoencoderKL" and hasattr(pipe, "vocoder"):
        vocoder = pipe.vocoder.config
        return vocoder.sampling_rate, math.prod(vocoder.upsample_rates) * pipe.vae_scale_factor
    known = "AutoencoderOobleck, AutoencoderSAME, LongCatAudioDiTVae, or AutoencoderKL with a vocoder"
    raise UsageError(f"How {name} divides sound is not known.", f"one of {known}", "add it to rates.sound_grid")


def video_times(video: Any, audio: Any, num_latents: int, fps: Fraction | float) -> tuple[float, ...]:
    """When each latent of a video begins, in steps of the sound's latents: `DiscriminatorConfig.video_times`.

    Args:
        video: A text-to-video pipeline.
        audio: A text-to-audio pipeline; its latents begin with the video.
        num_latents: Of the video.
        fps: Pictures per second.
    """
    sample_rate, samples = sound_grid(audio)
    return tuple(float(time * sample_rate / samples) for time in latent_times(video, num_latents, fps))
