"""Clips of MM-Diffusion's datasets: 16 frames of 64x64 at 10 fps with their 1.6 s of sound, cut out of longer videos.

They are cut and scaled as in researchmm/MM-Diffusion@7250222:mm_diffusion/multimodal_datasets.py: a clip may begin at
every tick of 10 fps, frame j is the one on screen at that tick, pictures are fitted into 64x64 (bicubic, not smoothed,
the rest black), and of the sound the first channel is taken. There the last frame's share of a faster source's sound is
silent; here it is heard.

For a clip of a video, all of it is decoded; of a video that was made ready, the clip alone is read. Both are the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmbench.errors import MediaError
from mmbench.types import Clip, ClipFormat

if TYPE_CHECKING:
    from mmbench.datasets.copies.conformed import Entry
    from mmbench.media.decode import Recording

FORMAT = ClipFormat(num_frames=16, height=64, width=64, fps=10.0, num_samples=25600, sample_rate=16000)


def frame_index(start: int, fps: Fraction, num: int = FORMAT.num_frames) -> list[int]:
    """Source frames on screen at ticks start, start + 1, ... of the format's 10 fps."""
    rate = Fraction(FORMAT.fps)
    return [int((start + j) * fps / rate) for j in range(num)]


def num_starts(num_frames: int, fps: Fraction) -> int:
    """Ticks at which a whole clip may begin in a video of `num_frames` frames."""
    return max(0, int(num_frames * Fraction(FORMAT.fps) / fps) - FORMAT.num_frames + 1)


def why_none(report: dict[str, Any], form: ClipFormat = FORMAT) -> str | None:
    """Why a probed video, which has pictures, holds no clip; None if it does. Sound may end early."""
    video = report["video"]
    if not report["audio"]:
        return "it has no sound"
    if not num_starts(video["frames"], Fraction(video["fps"])):
        return (
            f"{float(video['frames'] / Fraction(video['fps'])):.3f} s of video, not {form.num_frames / form.fps:.3f} s"
        )
    return None


def fit(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 scaled to lie within the format's size, bicubic as torch's, centred on black."""
    import cv2

    (h, w), height, width = picture.shape[:2], FORMAT.height, FORMAT.width
    ratio = min(Fraction(height, h), Fraction(width, w))
    size = max(1, int(h * ratio)), max(1, int(w * ratio))
    scaled = picture if size == (h, w) else cv2.resize(picture, size[::-1], interpolation=cv2.INTER_CUBIC)
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    out[top : top + size[0], left : left + size[1]] = scaled
    return out


def cut(path: Path, start: int) -> Clip:
    """The clip of a video that begins at tick `start`.

    Raises:
        MediaError: The video cannot be decoded, has no sound, or ends before the clip does.
    """
    from mmbench.media.decode import record

    recording = record(path, channel="first", scale=fit)
    index = frame_index(start, recording.fps)
    if recording.sound is None or index[-1] >= len(recording.video):
        raise _no_clip(path, start)
    return _with_sound(replace(recording, video=recording.video[index]), start)


def _no_clip(path: Path, start: int) -> MediaError:
    return MediaError(f"{path} has no clip at tick {start}.", "16 frames at 10 fps, with sound")


def _with_sound(recording: Recording, start: int) -> Clip:
    """The clip at tick `start` of a recording whose video is the pictures of this clip alone."""
    from mmbench.media.resample import resample_audio

    first = frame_index(start, recording.fps)[0]
    span = math.ceil(FORMAT.num_frames * recording.fps / Fraction(FORMAT.fps))  # frames that last 1.6 s at least
    sound = resample_audio(recording.clip(first, span), FORMAT.sample_rate)
    audio = np.zeros(FORMAT.num_samples, np.float32)
    heard = sound.audio[: FORMAT.num_samples]
    audio[: len(heard)] = heard
    steps = [*sound.notes["steps"], f"ticks {start} .. {start + FORMAT.num_frames - 1} of 10 fps, fitted into 64x64"]
    if len(heard) < len(audio):
        steps.append(f"samples {len(heard)} -> {len(audio)}, silence at the end")
    return Clip(recording.video, FORMAT.fps, audio, FORMAT.sample_rate, {**sound.notes, "steps": steps})


def cut_ready(path: Path, start: int, entry: Entry, made: Path, remedy: str) -> Clip:
    """The clip of `cut`, from what `make_ready` made of the video.

    Args:
        path: The video, for errors.
        start: Tick at which the clip begins.
        entry: What the index says of it.
        made: The file that was made of it.
        remedy: What to type if the file is damaged.

    Raises:
        MediaError: The video ends before the clip does.
        IntegrityError: The file is damaged.
    """
    from mmbench.datasets.copies.prepared_video import unpack

    if start + FORMAT.num_frames > entry.notes["pictures"]:
        raise _no_clip(path, start)
    return _with_sound(unpack(made, entry.notes, entry.sha256, start, FORMAT.num_frames, remedy), start)


def make_ready(path: Path) -> tuple[bytes, Mapping[str, Any]]:
    """A video as a file in which every clip of it can be read: the pictures at all ticks, and the sound.

    Raises:
        MediaError: The video cannot be decoded to its end, or has no sound.
    """
    from mmbench.datasets.copies.prepared_video import pack
    from mmbench.media.decode import record
    from mmbench.media.sources import file_digest, probe_file

    recording, video = record(path, channel="first", scale=fit), probe_file(path)["video"]
    ticks = math.ceil(len(recording.video) * Fraction(FORMAT.fps) / recording.fps)
    data, notes = pack(recording, frame_index(0, recording.fps, ticks), file_digest(path))
    return data, {**notes, "starts": num_starts(video["frames"], Fraction(video["fps"]))}
