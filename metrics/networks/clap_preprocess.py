"""CLAP's front end: ten seconds of a sound at 48 kHz, and their log-mel spectrogram.

Own writing of what LAION-AI/CLAP@1fd4c37 (src/laion_clap/training/data.py:get_audio_features and
clap_module/htsat.py, with torchlibrosa 0.1.0) and hkchengrex/av-benchmark@050a5cd (av_bench/data/audio_dataset.py)
compute, in float64.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

from mmbench.metrics.networks.audio_frontend import resample
from mmbench.networks.compiled import import_librosa

SAMPLE_RATE = 48000  # [Hz]
LENGTH = 480000  # samples that the network sees: 10 s
FFT, HOP, MELS = 1024, 480, 64
LOW, HIGH = 50.0, 14000.0  # edges of the mel bands [Hz]
FLOOR = 1e-10  # of the power: -100 dB


def ten_seconds(audio: np.ndarray) -> np.ndarray:
    """(s,) at 48 kHz to (480000,): repeated as often as it fits and completed with zeros, or the middle of it.

    The official code repeats likewise, and draws the stretch of a longer sound without a seed. The middle is the same
    each time.
    """
    if len(audio) > LENGTH:
        start = (len(audio) - LENGTH) // 2
        return audio[start : start + LENGTH]
    whole = np.zeros(LENGTH, audio.dtype)
    repeated = np.tile(audio, LENGTH // len(audio))
    whole[: len(repeated)] = repeated
    return whole


def prepare_waveform(
    audio: np.ndarray, rate: int, *, seconds: float | None, centred: bool, resampler: Literal["torchaudio", "librosa"]
) -> np.ndarray:
    """A sound (s,) as the network sees it: (480000,) float32 at 48 kHz.

    Args:
        audio: At least one sample in [-1, 1].
        rate: Its rate [Hz].
        seconds: What is kept from the beginning [s]; None keeps all.
        centred: Its mean is taken away first.
        resampler: Whose default resampling.
    """
    wave = audio - audio.mean(dtype=np.float32) if centred else audio
    if resampler == "torchaudio":
        wave = resample(wave, rate, SAMPLE_RATE, kernel="transform")
    else:
        librosa = import_librosa()

        wave = librosa.resample(wave, orig_sr=rate, target_sr=SAMPLE_RATE)
    return ten_seconds(wave if seconds is None else wave[: int(SAMPLE_RATE * seconds)]).astype(np.float32)


@cache
def mel_bank() -> np.ndarray:
    """(513, 64) float64 Slaney triangles of equal area."""
    librosa = import_librosa()

    bank = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=FFT, n_mels=MELS, fmin=LOW, fmax=HIGH, htk=False, norm="slaney", dtype=np.float64
    )
    return np.ascontiguousarray(bank.T)


def log_mel(wave: np.ndarray) -> np.ndarray:
    """(480000,) samples to a log-mel spectrogram (1001, 64) float32 [dB]; digital silence is -100."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)  # periodic
    padded = np.pad(wave.astype(np.float64), FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    return (10 * np.log10(np.maximum(power @ mel_bank(), FLOOR))).astype(np.float32)
