"""Explicit conversion between clip formats: frame rate, sample rate, size, length. Each step is recorded in the notes.

Nothing else in the harness resamples a clip as a whole; metrics resample what they are given by their own rules.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from mmbench.errors import MediaError
from mmbench.types import Clip, ClipFormat


def exact_rate(fps: Fraction | float) -> Fraction:
    """The frame rate [1/s] as the fraction that clips are stored and compared with."""
    return Fraction(fps).limit_denominator(1_000_000)


def _with(clip: Clip, step: str, **changed: Any) -> Clip:
    notes = {**clip.notes, "steps": [*clip.notes.get("steps", []), step]}
    fields = {"video": clip.video, "fps": clip.fps, "audio": clip.audio, "sample_rate": clip.sample_rate}
    return Clip(**{**fields, **changed}, notes=notes)


def resample_video(clip: Clip, fps: Fraction | float) -> Clip:
    """Change the frame rate without inventing pictures: frame j is the one on screen at time j / fps.

    That is source frame floor(j fps_source / fps), in exact arithmetic; there are ceil(T fps / fps_source) frames.
    """
    source, target = exact_rate(clip.fps), exact_rate(fps)
    if source == target:
        return clip
    count = math.ceil(len(clip.video) * target / source)
    index = [math.floor(j * source / target) for j in range(count)]
    step = f"frame rate {source} -> {target} 1/s, nearest earlier frame"
    return _with(clip, step, video=clip.video[index], fps=target)


def resample_audio(clip: Clip, rate: int) -> Clip:
    """Change the sample rate [Hz] with a linear-phase, band-limited filter (soxr HQ); S' = ceil(S rate / rate_source).

    Overshoot beyond full scale is clipped. A clip without audio only changes its nominal rate.
    """
    if rate == clip.sample_rate:
        return clip
    count = math.ceil(len(clip.audio) * rate / clip.sample_rate)
    audio = np.zeros(count, np.float32)
    if count:
        import soxr

        out = soxr.resample(clip.audio, clip.sample_rate, rate, quality="HQ")[:count]
        audio[: len(out)] = np.clip(out, -1.0, 1.0)
    return _with(clip, f"sample rate {clip.sample_rate} -> {rate} Hz, soxr HQ", audio=audio, sample_rate=rate)


def cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 scaled to cover (height, width) with the aspect kept, by area averaging; its centre is cropped.

    Where a picture is enlarged, OpenCV's INTER_AREA interpolates linearly.
    """
    h, w = picture.shape[:2]
    if (h, w) == (height, width):
        return picture
    import cv2

    scale = max(Fraction(height, h), Fraction(width, w))
    size = max(height, round(h * scale)), max(width, round(w * scale))
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    scaled = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    return scaled[top : top + height, left : left + width]


def resize_step(height: int, width: int, source: tuple[int, int]) -> str:
    """What the notes of a clip say of `cover`; `source` is its height and width before [px]."""
    return f"size {source[1]}x{source[0]} -> {width}x{height} px, area average, centre crop"


def resize(clip: Clip, height: int, width: int) -> Clip:
    """Bring a clip to a size by `cover`."""
    h, w = clip.video.shape[1:3]
    if (h, w) == (height, width):
        return clip
    video = np.empty((len(clip.video), height, width, 3), np.uint8)
    for out, frame in zip(video, clip.video, strict=True):
        out[:] = cover(frame, height, width)
    return _with(clip, resize_step(height, width, (h, w)), video=video)


def conform(clip: Clip, form: ClipFormat) -> Clip:
    """Bring a clip to a format: rates first, then size, then its first `num_frames` frames and `num_samples` samples.

    A clip without audio stays without (S = 0). Audio that misses less than one video frame's time at the end, as codec
    blocks and rounding leave it, is completed with silence; every step is recorded in `notes["steps"]`.

    Raises:
        MediaError: The clip has too few frames, or its audio is shorter than that.
    """
    clip = resample_audio(resample_video(clip, form.fps), form.sample_rate)
    have, want = len(clip.video), form.num_frames
    if have < want:
        raise MediaError(
            f"The clip is too short: {have} frames at {float(exact_rate(form.fps)):g} 1/s.",
            f"at least {want} frames ({want / form.fps:.3f} s)",
            "leave this clip out, or evaluate with a shorter format",
        )
    if have > want:
        clip = _with(clip, f"frames {have} -> {want}, the first ones", video=clip.video[:want])
    clip = resize(clip, form.height, form.width)
    missing = form.num_samples - len(clip.audio)
    if not len(clip.audio) or not missing:
        return clip
    if missing < 0:
        step = f"samples {len(clip.audio)} -> {form.num_samples}, the first ones"
        return _with(clip, step, audio=clip.audio[: form.num_samples])
    if missing * exact_rate(form.fps) >= form.sample_rate:
        raise MediaError(
            f"The audio is too short: {len(clip.audio)} samples at {form.sample_rate} Hz.",
            f"at least {form.num_samples} samples ({form.num_samples / form.sample_rate:.3f} s)",
            "leave this clip out, or evaluate with a shorter format",
        )
    step = f"samples {len(clip.audio)} -> {form.num_samples}, silence at the end"
    return _with(clip, step, audio=np.pad(clip.audio, (0, missing)))
