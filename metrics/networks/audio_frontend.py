"""Audio front ends of the feature networks: resampling, Kaldi filter bank, VGGish log-mel.

Own writing of what pytorch/audio@v2.11.0 (src/torchaudio/functional/functional.py:resample and
src/torchaudio/compliance/kaldi.py:fbank) and harritaylor/torchvggish@f3f9096 (torchvggish/mel_features.py) compute;
torchaudio itself has no release for current torch.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

SAMPLE_RATE = 16000  # [Hz], of both front ends
WINDOW, HOP, FFT = 400, 160, 512  # 25 ms, 10 ms, next power of two
VGGISH_FRAMES, VGGISH_MELS = 96, 64  # 0.96 s
KALDI_FLOOR = float(np.finfo(np.float32).eps)


@cache
def _sinc_kernel(source: int, target: int, zeros: int, rolloff: float, dtype: torch.dtype) -> tuple[torch.Tensor, int]:
    """(target, 1, taps) float32 polyphase kernel of a Hann-windowed sinc, and its half width in input samples."""
    cutoff = min(source, target) * rolloff
    width = math.ceil(zeros * source / cutoff)
    taps = torch.arange(-width, width + source, dtype=dtype)[None, None] / source
    phases = torch.arange(0, -target, -1)[:, None, None] / target  # float32, whatever the rest is
    t = ((phases + taps) * cutoff).clamp_(-zeros, zeros)
    window = torch.cos(t * math.pi / zeros / 2) ** 2
    t = t * math.pi
    sinc = torch.where(t == 0, torch.ones((), dtype=dtype), t.sin() / t)
    return (sinc * (window * (cutoff / source))).float(), width


def resample(
    audio: np.ndarray, source_rate: int, target_rate: int, *, kernel: Literal["function", "transform"] = "function"
) -> np.ndarray:
    """Resample (..., s) float32 to ceil(s * target / source) samples, equal to torchaudio's default resampler.

    torchaudio has two: `functional.resample` computes its kernel in float32, at 22.05 kHz up to 1e-5 from the one that
    `transforms.Resample` computes in float64, but for its phases.

    Args:
        audio: Samples along the last axis.
        source_rate: Its rate [Hz].
        target_rate: The rate wanted [Hz].
        kernel: "function" or "transform", for that of the one or of the other.
    """
    if source_rate == target_rate:
        return audio
    common = math.gcd(source_rate, target_rate)
    source, target = source_rate // common, target_rate // common
    dtype = {"function": torch.float32, "transform": torch.float64}[kernel]
    taps, width = _sinc_kernel(source, target, 6, 0.99, dtype)
    x = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32)).reshape(-1, 1, audio.shape[-1])
    x = F.conv1d(F.pad(x, (width, width + source)), taps, stride=source)
    length = math.ceil(target * audio.shape[-1] / source)
    return x.transpose(1, 2).flatten(1)[:, :length].reshape(*audio.shape[:-1], length).numpy()


def hz_to_mel(frequency: np.ndarray | float) -> np.ndarray:
    """HTK mel of a frequency [Hz]."""
    return 1127.0 * np.log1p(np.asarray(frequency, dtype=np.float64) / 700.0)


@cache
def mel_filters(num_mels: int, low: float, high: float) -> np.ndarray:
    """(257, num_mels) float64 triangles of equal width in mel, over the bins of a 512-point FFT, not normalised.

    Args:
        num_mels: Number of bands.
        low: Lower edge of the first band [Hz].
        high: Upper edge of the last band [Hz].
    """
    edges = np.linspace(hz_to_mel(low), hz_to_mel(high), num_mels + 2)
    mel = hz_to_mel(np.arange(FFT // 2 + 1) * (SAMPLE_RATE / FFT))[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    filters = np.maximum(0.0, np.minimum((mel - lower) / (centre - lower), (upper - mel) / (upper - centre)))
    filters[0] = 0.0  # no constant component
    return filters


def frames(audio: np.ndarray) -> np.ndarray:
    """View (..., s) as (..., 1 + (s - 400) // 160, 400): whole 25 ms windows every 10 ms, none padded."""
    if audio.shape[-1] < WINDOW:
        return np.empty((*audio.shape[:-1], 0, WINDOW), audio.dtype)
    return np.lib.stride_tricks.sliding_window_view(audio, WINDOW, axis=-1)[..., ::HOP, :]


def vggish_examples(audio: np.ndarray) -> np.ndarray:
    """Log-mel examples of VGGish: (s,) at 16 kHz to (n, 96, 64) float32; digital silence is log 0.01.

    Magnitudes through 64 bands of 125 to 7500 Hz, log(mel + 0.01), cut into 0.96 s without overlap; the incomplete tail
    is dropped, so n = 0 below 0.975 s. float64 inside.

    Args:
        audio: Samples in [-1, 1] at 16 kHz.
    """
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)  # periodic
    spectrum = np.abs(np.fft.rfft(frames(audio.astype(np.float64)) * hann, FFT))
    log_mel = np.log(spectrum @ mel_filters(VGGISH_MELS, 125.0, 7500.0) + 0.01)
    n = len(log_mel) // VGGISH_FRAMES
    return log_mel[: n * VGGISH_FRAMES].reshape(n, VGGISH_FRAMES, VGGISH_MELS).astype(np.float32)


def kaldi_fbank(audio: np.ndarray, num_mels: int) -> np.ndarray:
    """Kaldi log filter bank, HTK compatible, without dither and energy: (s,) at 16 kHz to (frames, num_mels) float64.

    Each frame loses its mean, is pre-emphasised by 0.97, and is windowed by a symmetric Hann; power through bands of 20
    to 8000 Hz; natural logarithm, floored at float32's epsilon (-15.94).

    Args:
        audio: Samples at 16 kHz; computed in float64.
        num_mels: Number of bands.
    """
    x = frames(audio.astype(np.float64))
    x = x - x.mean(axis=-1, keepdims=True)
    x = x - 0.97 * np.concatenate([x[..., :1], x[..., :-1]], axis=-1)
    power = np.abs(np.fft.rfft(x * np.hanning(WINDOW), FFT)) ** 2
    return np.log(np.maximum(power @ mel_filters(num_mels, 20.0, SAMPLE_RATE / 2), KALDI_FLOOR))
