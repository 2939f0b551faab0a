"""Media files for tests, encoded on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CLICK = 0.05  # length of a click [s]


def flashes(num_frames: int, height: int = 48, width: int = 64) -> np.ndarray:
    """(T, H, W, 3) uint8: flat frames whose brightness tells their index: 8 j + 20."""
    levels = (np.arange(num_frames) * 8 + 20) % 236
    return np.broadcast_to(levels.astype(np.uint8)[:, None, None, None], (num_frames, height, width, 3)).copy()


def clicks(times: Sequence[float], duration: float, rate: int) -> np.ndarray:
    """(S,) float32: bursts of 1 kHz beginning at `times` [s]."""
    t = np.arange(round(duration * rate)) / rate
    x = np.zeros(len(t))
    for time in times:
        x += np.where((t >= time) & (t < time + CLICK), 0.5 * np.sin(2 * np.pi * 1000 * (t - time)), 0.0)
    return x.astype(np.float32)


def onset(audio: np.ndarray, rate: int) -> float:
    """Time [s] of the first sample louder than a fifth of full scale."""
    return int(np.argmax(np.abs(audio) > 0.2)) / rate


def write_media(
    path: Path,
    video: np.ndarray | None = None,
    audio: np.ndarray | None = None,
    *,
    fps: int = 10,
    rate: int = 16000,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    stamps: Sequence[float] | None = None,
    sound_start: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode (T, H, W, 3) uint8 and (S,) or (C, S) float32 with any codec and container.

    `stamps` are presentation times [s] of the frames; without them j / fps. The sound begins at `sound_start` [s].
    """
    with av.open(str(path), "w", options=options or {}) as container:
        if video is not None:
            v = container.add_stream(video_codec, rate=fps)
            v.width, v.height, v.pix_fmt = video.shape[2], video.shape[1], "yuv420p"
            if stamps is not None:
                v.codec_context.time_base = Fraction(1, 1000)
        if audio is not None:
            channels = np.atleast_2d(audio)
            a = container.add_stream(audio_codec, rate=rate, layout="stereo" if len(channels) == 2 else "mono")
        container.start_encoding()
        if audio is not None:
            sound = av.AudioFrame.from_ndarray(channels, format="fltp", layout=a.layout.name)
            sound.sample_rate, sound.pts, sound.time_base = rate, round(sound_start * rate), Fraction(1, rate)
            container.mux(a.encode(sound))
            container.mux(a.encode())
        for j, pixels in enumerate(video if video is not None else ()):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = j if stamps is None else round(stamps[j] * 1000)
            frame.time_base = Fraction(1, fps) if stamps is None else Fraction(1, 1000)
            container.mux(v.encode(frame))
        if video is not None:
            container.mux(v.encode())
    return path


def turn(path: Path, height: int) -> Path:
    """Give an MP4 whose first track is video the quarter turn clockwise that phones write; `height` of its frames."""
    upright = np.array([0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000], ">i4").tobytes()
    turned = np.array([0, 0x10000, 0, -0x10000, 0, 0, height << 16, 0, 0x40000000], ">i4").tobytes()
    movie, track, rest = path.read_bytes().split(upright, 2)  # the matrices of the movie, of its first track, of others
    path.write_bytes(movie + upright + track + turned + rest)
    return path
