"""Spectrograms that PaSST and Cnn14 listen to, as av-benchmark prepares them.

Own writing of hkchengrex/av-benchmark@050a5cd:av_bench/data/audio_dataset.py and extract.py, and of the front ends of
kkoutini/passt_hear21@5f1cce6:hear21passt/models/preprocess.py and of torchlibrosa 0.1.0; float64 but for resampling.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np

from mmbench.metrics.networks.audio_frontend import mel_filters, resample

PASST_RATE, PASST_SAMPLES, PASST_MELS = 32000, 320000, 128  # [Hz], 10 s
PANN_RATE, PANN_WINDOW, PANN_HOP, PANN_MELS = 16000, 512, 160, 64


def prepare_wave(audio: np.ndarray, sample_rate: int, target_rate: int, seconds: float | Fraction) -> np.ndarray:
    """The start of a sound (s,), after its mean over all of its length was taken off, at another rate.

    Args:
        audio: (s,) samples in [-1, 1].
        sample_rate: Samples per second [Hz].
        target_rate: Those wanted [Hz].
        seconds: How much of it is looked at; what is shorter stays so.
    """
    centred = (audio - audio.mean(dtype=np.float64)).astype(np.float32)
    return resample(centred, sample_rate, target_rate, kernel="transform")[: int(target_rate * seconds)]


def centred_power(wave: np.ndarray, window: np.ndarray, points: int, hop: int) -> np.ndarray:
    """Power spectra (1 + s // hop, 1 + points // 2) of a wave (s,) that is mirrored at its ends.

    Args:
        wave: Samples.
        window: At most `points` long; zeros are put around it.
        points: Of the Fourier transform.
        hop: Samples between the middles of two windows.
    """
    before = (points - len(window)) // 2
    whole = np.pad(window, (before, points - len(window) - before))
    padded = np.pad(wave.astype(np.float64), points // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, points)[::hop]
    return np.abs(np.fft.rfft(frames * whole)) ** 2


def passt_mel(wave: np.ndarray) -> np.ndarray:
    """What PaSST listens to: (s,) at 32 kHz to (128, 1000) float32, cut or completed with zeros to 10 s.

    Pre-emphasis by 0.97, a symmetric Hann of 25 ms every 10 ms, Kaldi's bands of 0 to 15000 Hz, log(power + 1e-5),
    (x + 4.5) / 5; digital silence is -1.40.
    """
    x = np.pad(wave[:PASST_SAMPLES].astype(np.float64), (0, max(PASST_SAMPLES - len(wave), 0)))
    power = centred_power(x[1:] - 0.97 * x[:-1], np.hanning(800), 1024, 320)
    bands = mel_filters(PASST_MELS, 0.0, 15000.0, 1024, PASST_RATE)
    return ((np.log(power @ bands + 1e-5) + 4.5) / 5).T.astype(np.float32)


@cache
def slaney_filters() -> np.ndarray:
    """(257, 64) bands of 50 to 8000 Hz on Slaney's scale, each of unit area."""
    import librosa

    bands: np.ndarray = librosa.filters.mel(sr=PANN_RATE, n_fft=PANN_WINDOW, n_mels=PANN_MELS, fmin=50, fmax=8000)
    return bands.T


def pann_log_mel(wave: np.ndarray) -> np.ndarray:
    """What Cnn14 listens to: (s,) at 16 kHz to (1 + s // 160, 64) float32 in dB; digital silence is -100."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(PANN_WINDOW) / PANN_WINDOW)  # periodic
    power = centred_power(wave, hann, PANN_WINDOW, PANN_HOP) @ slaney_filters()
    return (10 * np.log10(np.maximum(power, 1e-10))).astype(np.float32)
