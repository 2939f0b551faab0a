"""Logarithmic mel spectrograms as HiFi-GAN's authors make them, for the audio models that end in such a vocoder."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.networks.compiled import import_librosa

SAMPLE_RATE, HOP_LENGTH, WIN_LENGTH, F_MAX = 16000, 160, 1024, 8000.0
FLOOR = 1e-5  # of the magnitudes, so that silence has a logarithm


@lru_cache(maxsize=4)
def mel_filters(n_fft: int, n_mels: int) -> Tensor:
    """(n_mels, n_fft / 2 + 1) float32 triangles of Slaney's scale and area, from 0 to `F_MAX`."""
    librosa = import_librosa()

    return torch.from_numpy(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=n_fft, n_mels=n_mels, fmin=0.0, fmax=F_MAX))


def log_mel(wave: Tensor, n_fft: int, n_mels: int, offset: float = 0.0) -> Tensor:
    """Natural logarithm of the mel magnitudes, one frame per 160 samples.

    Args:
        wave: (n, samples) float32 at 16 kHz, longer than half of `n_fft`.
        n_fft: Length of the transform; the window has 1024 samples.
        n_mels: Bands.
        offset: Added to the squared magnitudes before the root.

    Returns:
        (n, n_mels, samples / 160) float32, at least log 1e-5.
    """
    padded = F.pad(wave, [(n_fft - HOP_LENGTH) // 2] * 2, mode="reflect")
    window = torch.hann_window(WIN_LENGTH, device=wave.device)
    spectrum = torch.stft(
        padded, n_fft, HOP_LENGTH, WIN_LENGTH, window, center=False, normalized=False, return_complex=True
    )
    magnitude = (torch.view_as_real(spectrum).square().sum(-1) + offset).sqrt()
    return (mel_filters(n_fft, n_mels).to(wave.device) @ magnitude).clamp(min=FLOOR).log()
