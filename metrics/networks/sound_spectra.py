"""Spectrograms that PaSST and Cnn14 listen to, as av-benchmark prepares them.

Own writing of hkchengrex/av-benchmark@050a5cd:av_bench/data/audio_dataset.py and extract.py, and of the front ends of
kkoutini/passt_hear21@5f1cce6:hear21passt/models/preprocess.py and of torchlibrosa 0.1.0. All is float32, the mel bands
too: in bands with next to no power, the logarithm shows how they were rounded.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
import torch
from torch import Tensor

from mmbench.metrics.networks.audio_frontend import resample
from mmbench.networks.compiled import import_librosa

PASST_RATE, PASST_SAMPLES, PASST_MELS = 32000, 320000, 128  # [Hz], 10 s
PASST_POINTS, PASST_TOP = 1024, 15000  # [Hz], the upper edge of the last band
PANN_RATE, PANN_POINTS, PANN_MELS = 16000, 512, 64


def prepare_wave(audio: np.ndarray, sample_rate: int, target_rate: int, seconds: float | Fraction) -> np.ndarray:
    """The start of a sound (s,) at another rate, after the mean over its whole length was taken off.

    Args:
        audio: (s,) float32 samples in [-1, 1].
        sample_rate: Samples per second [Hz].
        target_rate: Those wanted [Hz].
        seconds: How much of it is looked at; what is shorter stays so.
    """
    wave = torch.from_numpy(np.ascontiguousarray(audio))
    centred = (wave - wave.mean()).numpy()
    return resample(centred, sample_rate, target_rate, kernel="transform")[: int(target_rate * seconds)]


def passt_mel(wave: np.ndarray) -> np.ndarray:
    """What PaSST listens to: (s,) at 32 kHz to (128, 1000) float32, cut or completed with zeros to 10 s.

    Pre-emphasis by 0.97, a symmetric Hann of 25 ms every 10 ms, Kaldi's bands of 0 to 15000 Hz, log(power + 1e-5),
    (x + 4.5) / 5; digital silence is -1.40.
    """
    x = torch.from_numpy(np.pad(wave[:PASST_SAMPLES], (0, max(PASST_SAMPLES - len(wave), 0))))
    power = _power(x[1:] - 0.97 * x[:-1], torch.hann_window(800, periodic=False), PASST_POINTS, hop=320)
    return ((torch.log(_kaldi_bands() @ power + 1e-5) + 4.5) / 5).numpy()


def pann_log_mel(wave: np.ndarray) -> np.ndarray:
    """What Cnn14 listens to: (s,) at 16 kHz, s > 256, to (1 + s // 160, 64) float32 in dB; digital silence is -100."""
    power = _power(torch.from_numpy(wave), torch.hann_window(PANN_POINTS), PANN_POINTS, hop=160)
    return (10 * torch.log10((_slaney_bands() @ power).clamp(min=1e-10))).T.numpy()


def _power(wave: Tensor, window: Tensor, points: int, hop: int) -> Tensor:
    """Power spectra (1 + points / 2, frames) of a wave that is mirrored at its ends."""
    spectra = torch.stft(wave, points, hop, len(window), window, pad_mode="reflect", return_complex=True)
    return spectra.real**2 + spectra.imag**2


@cache
def _kaldi_bands() -> Tensor:
    """(128, 513) triangles of equal width in mel, 0 to 15000 Hz."""
    step = 1127 * math.log(1 + PASST_TOP / 700) / (PASST_MELS + 1)
    lower, centre, upper = (step * (torch.arange(PASST_MELS)[:, None] + k) for k in (0.0, 1.0, 2.0))
    mel = 1127 * torch.log(1 + PASST_RATE / PASST_POINTS * torch.arange(PASST_POINTS // 2 + 1) / 700)
    return torch.minimum((mel - lower) / (centre - lower), (upper - mel) / (upper - centre)).clamp(min=0)


@cache
def _slaney_bands() -> Tensor:
    """(64, 257) bands of 50 to 8000 Hz on Slaney's scale, each of unit area."""
    librosa = import_librosa()

    return torch.from_numpy(librosa.filters.mel(sr=PANN_RATE, n_fft=PANN_POINTS, n_mels=PANN_MELS, fmin=50, fmax=8000))
