"""How clips become Synchformer's input: segments of 0.64 s every 0.32 s, of video at 25 fps and of sound at 16 kHz.

Own writing of hkchengrex/av-benchmark@050a5cd:av_bench/data/{video_dataset,audio_dataset}.py, av_bench/extract.py and
extract_video.py, whose mel spectrogram is torchaudio's.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np

from mmbench.metrics.networks.audio_frontend import SAMPLE_RATE, resample
from mmbench.metrics.networks.synchformer_segments import FRAME_STEP, FRAMES, SAMPLE_STEP, SAMPLES, count_segments
from mmbench.metrics.networks.video_frontend import centre_crop, resize_short_side

SIZE = 224  # [px]
WINDOW, FFT, HOP, MELS = 400, 1024, 160, 128
MEL_FRAMES = 66  # one more than there are
MEL_MEAN, MEL_STD = -4.2677393, 4.5689974  # of AudioSet


def prepare_frames(frames: np.ndarray, short_side: int = SIZE) -> np.ndarray:
    """Frames (t, h, w, 3) uint8 as (t, 3, 224, 224) float32 in [-1, 1].

    Args:
        frames: RGB.
        short_side: What the short side is resized to, before the middle is cut out [px].
    """
    pixels = centre_crop(resize_short_side(frames, short_side), SIZE)
    return (pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5) / 0.5


def video_segments(frames: np.ndarray) -> np.ndarray:
    """Segments (n, 16, ...) of prepared frames (t, ...), a view."""
    if len(frames) < FRAMES:
        return frames[:0].reshape(0, FRAMES, *frames.shape[1:])
    windows = np.lib.stride_tricks.sliding_window_view(frames, FRAMES, axis=0)
    return np.moveaxis(windows[::FRAME_STEP], -1, 1)


@cache
def mel_bank() -> np.ndarray:
    """(513, 128) float64: triangles in Hz between equal steps of HTK mel, 0 to 8000 Hz, not normalised.

    torchaudio's `melscale_fbanks`; those of Kaldi in `audio_frontend` are triangles in mel.
    """
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    hz = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)[:, None]
    rising, falling = (hz - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - hz) / np.diff(edges)[1:]
    return np.maximum(0.0, np.minimum(rising, falling))


def audio_segments(audio: np.ndarray, sample_rate: int, seconds: float | Fraction, first: int = 0) -> np.ndarray:
    """Log-mel segments (n, 128, 66) float32 of the start of a sound; n = 0 below 0.64 s.

    Sound is cut into segments first, so each is mirrored at its own ends. The frame that is missing is 0 before
    normalisation, which is not silence. No mean is removed. float64 inside, but for resampling.

    Args:
        audio: (s,) samples in [-1, 1].
        sample_rate: Samples per second [Hz].
        seconds: How much of it is looked at.
        first: Where the first segment begins, in samples at 16 kHz.
    """
    wave = resample(audio, sample_rate, SAMPLE_RATE, kernel="transform")[first : int(SAMPLE_RATE * seconds)].astype(
        np.float64
    )
    starts = SAMPLE_STEP * np.arange(count_segments(len(wave), SAMPLES, SAMPLE_STEP))
    segments = [_log_mel(wave[i : i + SAMPLES]) for i in starts]
    return np.stack(segments) if segments else np.empty((0, MELS, MEL_FRAMES), np.float32)


def _log_mel(segment: np.ndarray) -> np.ndarray:
    hann = np.zeros(FFT)
    first = (FFT - WINDOW) // 2
    hann[first : first + WINDOW] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)  # periodic
    padded = np.pad(segment, FFT // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    mel = np.log((np.abs(np.fft.rfft(windows * hann)) ** 2) @ mel_bank() + 1e-6).T
    mel = np.pad(mel, ((0, 0), (0, MEL_FRAMES - mel.shape[1])))
    return ((mel - MEL_MEAN) / (2 * MEL_STD)).astype(np.float32)
