"""Diff-Foley's mel images and the way back to sound: 128 bands, a column per 256 samples of 16 kHz.

Source: luosiallen/Diff-Foley@0ba1e8a:data_preprocess/wav2spec.py, evaluation/transform_spec.py,
inference/demo_util.py. The last of these inverts with the bands of 22,050 Hz, a mismatch; both rates are here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mmbench.networks.compiled import import_librosa

librosa = import_librosa()

SAMPLE_RATE, N_FFT, HOP_LENGTH, NUM_MELS, F_MIN, F_MAX = 16000, 1024, 256, 128, 125.0, 7600.0
FLOOR = 1e-5  # of the mel magnitudes
ITERATIONS = 32


@lru_cache(maxsize=2)
def mel_filters(sample_rate: int) -> np.ndarray:
    """(128, 513) float32 triangles of Slaney's scale and area, from 125 to 7600 Hz."""
    filters: np.ndarray = librosa.filters.mel(sr=sample_rate, n_fft=N_FFT, n_mels=NUM_MELS, fmin=F_MIN, fmax=F_MAX)
    return filters


def wave_to_image(wave: np.ndarray) -> np.ndarray:
    """(samples,) at 16 kHz to (128, 1 + samples // 256) in [0, 1]: 0 for -80 dB, 1 for 20 dB."""
    magnitude = np.abs(librosa.stft(wave, n_fft=N_FFT, hop_length=HOP_LENGTH))
    decibels = 20 * np.log10(np.maximum(FLOOR, mel_filters(SAMPLE_RATE) @ magnitude))
    clipped: np.ndarray = np.clip((decibels - 20 + 100) / 100, 0, 1)
    return clipped


def image_to_mel(image: np.ndarray) -> np.ndarray:
    """Mel magnitudes of an image, which may leave [0, 1]."""
    mel: np.ndarray = 10 ** ((image * 100 - 100 + 20) / 20)
    return mel


def mel_to_magnitude(mel: np.ndarray, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """(128, t) mel magnitudes to (513, t) float32 magnitudes: least squares of minimum norm, clipped at zero.

    The original calls `librosa.feature.inverse.mel_to_stft`, whose iteration starts there and, on magnitudes of mel
    images in [0, 1], ends there too.
    """
    inverse = np.linalg.pinv(mel_filters(sample_rate).astype(np.float64))
    return np.maximum(inverse @ mel, 0.0).astype(np.float32)


def image_to_wave(image: np.ndarray, phases: np.random.Generator, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The sound of an image, by Griffin and Lim's iteration.

    Args:
        image: (128, t).
        phases: Draws the phases that the iteration starts from.
        sample_rate: Whose mel bands to invert: 16000, or 22050 as the original's notebook does.

    Returns:
        (256 (t - 1),) float32 at 16 kHz, whatever `sample_rate` is; not limited to [-1, 1].
    """
    magnitude = mel_to_magnitude(image_to_mel(image), sample_rate)
    wave = librosa.griffinlim(magnitude, n_iter=ITERATIONS, hop_length=HOP_LENGTH, random_state=phases)
    return np.asarray(wave, dtype=np.float32)
