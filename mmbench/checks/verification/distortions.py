"""Graded distortions of clips: what a metric must answer to, by how much is up to it.

Each takes a clip and a strength in physical units and gives a new clip of the same shape, rates and notes; strength
zero (or none, where a unit has no zero) gives it back unchanged. Randomness comes from the generator alone, and a
stronger distortion uses the draws of the weaker ones, so that strengths differ in nothing else.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mmbench.types import Clip


def _refuse(name: str, value: float, expected: str) -> ValueError:
    return ValueError(f"{name} is {value}; expected {expected}")


def blur(clip: Clip, sigma: float) -> Clip:
    """Blur every frame with a Gaussian of standard deviation `sigma` [px], edges mirrored."""
    if not 0 <= sigma < math.inf:
        raise _refuse("sigma", sigma, "pixels from 0")
    if sigma == 0:
        return clip
    import cv2

    frames = [cv2.GaussianBlur(frame, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for frame in clip.video]
    return replace(clip, video=np.stack(frames) if frames else clip.video)


def pixel_noise(clip: Clip, std: float, rng: np.random.Generator) -> Clip:
    """Add Gaussian noise of standard deviation `std` [grey levels] to every value; clipped to 0..255."""
    if not 0 <= std < math.inf:
        raise _refuse("std", std, "grey levels from 0")
    noise = rng.standard_normal(clip.video.shape, dtype=np.float32)
    return replace(clip, video=np.clip(np.rint(clip.video + std * noise), 0, 255).astype(np.uint8))


def freeze(clip: Clip, fraction: float, rng: np.random.Generator) -> Clip:
    """Drop round(fraction (T - 1)) frames, never the first; the frame before stays on screen in their place."""
    lost = rng.permutation(np.arange(1, len(clip.video)))[: _count(fraction, len(clip.video) - 1)]
    shown = np.arange(len(clip.video))
    shown[lost] = 0
    return replace(clip, video=clip.video[np.maximum.accumulate(shown)])


def shuffle_frames(clip: Clip, fraction: float, rng: np.random.Generator) -> Clip:
    """Rotate round(fraction T) frames at random places among these places, each to the next; one alone stays."""
    moved = rng.permutation(len(clip.video))[: _count(fraction, len(clip.video))]
    shown = np.arange(len(clip.video))
    shown[moved] = np.roll(moved, 1)
    return replace(clip, video=clip.video[shown])


def white_noise(clip: Clip, snr: float, rng: np.random.Generator) -> Clip:
    """Add white Gaussian noise at a signal-to-noise ratio of `snr` [dB] of the clip's mean power; inf adds none.

    A silent clip stays silent. Values beyond full scale are clipped.
    """
    if math.isnan(snr) or snr == -math.inf:
        raise _refuse("snr", snr, "decibels, or inf")
    power = float(np.mean(np.square(clip.audio, dtype=np.float64))) if len(clip.audio) else 0.0
    noise = rng.standard_normal(len(clip.audio)) * math.sqrt(power) * 10 ** (-snr / 20)
    return replace(clip, audio=np.clip(clip.audio + noise, -1.0, 1.0).astype(np.float32))


def low_pass(clip: Clip, cutoff: float) -> Clip:
    """Keep what lies below `cutoff` [Hz]: a Butterworth filter of order 4, run both ways; no change from Nyquist on."""
    if not cutoff > 0:
        raise _refuse("cutoff", cutoff, "hertz above 0")
    if cutoff >= clip.sample_rate / 2 or not len(clip.audio):
        return clip
    from scipy.signal import butter, sosfiltfilt

    sections = butter(4, cutoff, fs=clip.sample_rate, output="sos")
    filtered = sosfiltfilt(sections, clip.audio.astype(np.float64), padlen=min(27, len(clip.audio) - 1))
    return replace(clip, audio=np.clip(filtered, -1.0, 1.0).astype(np.float32))


def hard_clip(clip: Clip, threshold: float) -> Clip:
    """Limit samples to `threshold` times the clip's own peak, in (0, 1]; 1 changes nothing."""
    if not 0 < threshold <= 1:
        raise _refuse("threshold", threshold, "a fraction of the peak in (0, 1]")
    limit = np.float32(threshold) * np.abs(clip.audio).max(initial=0.0)
    return replace(clip, audio=np.clip(clip.audio, -limit, limit))


def delay_audio(clip: Clip, seconds: float) -> Clip:
    """Let the sound come `seconds` [s] late, or early if negative; silence enters where it has left."""
    step = round(seconds * clip.sample_rate)
    audio = np.zeros_like(clip.audio)
    if abs(step) < len(audio):
        audio[max(step, 0) : len(audio) + min(step, 0)] = clip.audio[max(-step, 0) : len(audio) - max(step, 0)]
    return replace(clip, audio=audio)


def _count(fraction: float, total: int) -> int:
    if not 0 <= fraction <= 1:
        raise _refuse("fraction", fraction, "a number in [0, 1]")
    return round(fraction * max(total, 0))
