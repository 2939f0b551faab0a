"""The networks of the embedded models: two codecs and two latent diffusion models that know nothing of each other.

Small enough for a CPU, of the same parts as the big ones: AutoencoderKL per modality, a U-Net per modality with a noise
schedule of its own, texts as a vector. `scripts/train_tiny.py` trains them, `data/tiny.md` says on what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DModel
from torch import Tensor, nn

from mmbench.mmdisco.schedule import NoiseSchedule

VIDEO_LATENT = (4, 16, 8, 8)  # channels, frames, height, width
AUDIO_LATENT = (4, 32, 16)  # channels, time, mel bands
SCHEDULES = NoiseSchedule("scaled_linear", 0.00085, 0.012), NoiseSchedule("scaled_linear", 0.0015, 0.0195)
SAMPLE_RATE, FFT, WINDOW, HOP, NUM_MELS, NUM_HOPS = 16000, 1024, 1000, 250, 64, 128
FLOOR = 1e-3  # added to mel magnitudes, which reach some 90
MEL_CENTER, MEL_SCALE = -1.2, 5.7  # take log(mel + FLOOR) to [-1, 1]
WORDS = ("a", "ball", "balls", "bouncing", "glass", "large", "metal", "plastic", "rubber", "small", "two", "wooden")
TEXT_CHANNELS = 32


@cache
def mel_filters() -> np.ndarray:
    """(NUM_MELS, FFT / 2 + 1) triangles of height 1 between 20 Hz and 8 kHz."""
    import librosa

    filters: np.ndarray = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=FFT, n_mels=NUM_MELS, fmin=20.0, fmax=SAMPLE_RATE / 2, norm=None
    )
    return filters


def log_mel(audio: np.ndarray) -> Tensor:
    """(s,) samples to (1, NUM_HOPS, NUM_MELS) float32, about [-1, 1]; hop k is centred at sample k * HOP."""
    import librosa

    spectrum = librosa.stft(audio, n_fft=FFT, hop_length=HOP, win_length=WINDOW)[:, :NUM_HOPS]
    mel = np.log(mel_filters() @ np.abs(spectrum) + FLOOR)
    return torch.from_numpy((mel.T[None] - MEL_CENTER) / MEL_SCALE).float()


def griffin_lim(mel: Tensor, num_samples: int, seed: int) -> np.ndarray:
    """The sound of a log-mel spectrogram: (1, NUM_HOPS, NUM_MELS) to (num_samples,) float32, phases found by iteration.

    Args:
        mel: What `log_mel` gives.
        num_samples: Length; NUM_HOPS * HOP is what the spectrogram covers.
        seed: Of the phases it starts from.
    """
    import librosa

    bands = np.exp(mel[0].double().numpy().T * MEL_SCALE + MEL_CENTER) - FLOOR
    magnitude = np.maximum(np.linalg.pinv(mel_filters()) @ bands, 0.0).astype(np.float32)
    magnitude = np.pad(magnitude, ((0, 0), (0, 1)), mode="edge")
    sound = librosa.griffinlim(
        magnitude, n_iter=32, hop_length=HOP, win_length=WINDOW, n_fft=FFT, length=num_samples, random_state=seed
    )
    return np.asarray(sound, dtype=np.float32)


class Codec(nn.Module):
    """AutoencoderKL on pictures whose 2x2 blocks of pixels are channels; latents of mean 0 and variance 1."""

    def __init__(self, channels: int, widths: Sequence[int], latent_channels: int = 4) -> None:
        super().__init__()
        n = len(widths)
        self.autoencoder = AutoencoderKL(
            in_channels=4 * channels,
            out_channels=4 * channels,
            down_block_types=("DownEncoderBlock2D",) * n,
            up_block_types=("UpDecoderBlock2D",) * n,
            block_out_channels=tuple(widths),
            layers_per_block=1,
            latent_channels=latent_channels,
            norm_num_groups=8,
            mid_block_add_attention=False,
        )
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(latent_channels, 1, 1))
        self.register_buffer("std", torch.ones(latent_channels, 1, 1))

    def posterior(self, pictures: Tensor) -> Any:
        """The distribution of the raw latents of (n, c, h, w) in [-1, 1]."""
        return self.autoencoder.encode(F.pixel_unshuffle(pictures, 2)).latent_dist

    def reconstruct(self, raw: Tensor) -> Tensor:
        """Pictures of raw latents."""
        return F.pixel_shuffle(self.autoencoder.decode(raw).sample, 2)

    def encode(self, pictures: Tensor) -> Tensor:
        """(n, c, h, w) in [-1, 1] to (n, 4, h', w'); the mode of the posterior."""
        return (self.posterior(pictures).mode() - self.mean) / self.std

    def decode(self, latents: Tensor) -> Tensor:
        """The way back."""
        return self.reconstruct(latents * self.std + self.mean)


def video_codec() -> Codec:
    """64x64 RGB frames to 4x8x8, each on its own."""
    return Codec(3, (24, 32, 48))


def audio_codec() -> Codec:
    """128x64 log-mel spectrograms to 4x32x16."""
    return Codec(1, (24, 48))


def words_of(text: str) -> Tensor:
    """(12,) float32: how often each known word stands in a text."""
    split = text.lower().split()
    return torch.tensor([float(split.count(word)) for word in WORDS])
