"""Arrays and tensors of a user's program as clips: layouts and ranges are checked, nothing is guessed."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmbench.errors import NonFiniteError, UsageError
from mmbench.media.resample import exact_rate
from mmbench.types import Clip

VIDEO = "(frames, height, width, 3), uint8 or float in [0, 1]"
AUDIO = "(samples,) or (channels, samples), int16 or float in [-1, 1]"
ROUNDING = 1e-3  # by so much a float may leave its range, and is clipped
MOST_CHANNELS = 8  # of a sound; more are samples in the wrong axis


def make_clip(video: Any, audio: Any, fps: float, sample_rate: int, index: int) -> Clip:
    """The clip that arrays hold, as it would be read again from a lossless file.

    Args:
        video: (frames, height, width, 3), or channels first where no other axis can be the colours; uint8, or float
            in [0, 1]. An array or a tensor on any device.
        audio: (samples,) or (channels, samples), which are averaged; int16, or float in [-1, 1]. None for no sound.
        fps: Frames per second.
        sample_rate: Audio samples per second [Hz].
        index: Place among the clips, for errors.

    Raises:
        UsageError: Another layout, type or range; says what to change.
        NonFiniteError: NaN or infinity.
    """
    pixels = _read_video(as_array(video), f"videos[{index}]")
    sound = np.zeros(0, np.float32) if audio is None else _read_audio(as_array(audio), f"audios[{index}]")
    make = Clip if pixels.dtype == np.uint8 else Clip.from_float
    return make(pixels, exact_rate(fps), sound, sample_rate)


def as_array(given: Any) -> np.ndarray:
    """A numpy array of an array, or of a torch tensor on any device, also of bfloat16, which numpy does not know."""
    if hasattr(given, "detach"):
        given = given.detach().cpu()
        given = given.float().numpy() if given.is_floating_point() else given.numpy()
    found = np.asarray(given)
    return found.astype(np.float32) if found.dtype == np.float16 else found


def _read_video(frames: np.ndarray, name: str) -> np.ndarray:
    seen = f"{name} is {frames.dtype} {frames.shape}."
    if frames.ndim != 4 or not frames.size:
        one_clip = f"{name[: name.index('[')]}[None]" if frames.ndim == 3 else "one such array for each clip"
        raise UsageError(seen, VIDEO, f"{one_clip}: videos are (n, frames, height, width, 3), or a list of clips")
    if frames.shape[-1] != 3:
        frames = _colours_last(frames, seen)
    if frames.dtype == np.uint8:
        return frames
    if not np.issubdtype(frames.dtype, np.floating):
        raise UsageError(seen, VIDEO, 'videos.astype("uint8"), if they are in 0 .. 255')
    low, high = _range(frames, name)
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return frames
    remedy = "videos.clip(0, 1)"
    if low >= -1 - ROUNDING and high <= 1 + ROUNDING:
        remedy = "(videos + 1) / 2"
    elif low >= 0 and 2 < high <= 255:
        remedy = "videos / 255"
    raise UsageError(f"{name} is {frames.dtype} from {low:.4g} to {high:.4g}.", "float in [0, 1], or uint8", remedy)


def _colours_last(frames: np.ndarray, seen: str) -> np.ndarray:
    """Channels-first frames with their colours last; refuses what could be read in two ways."""
    axes = [axis for axis in (0, 1) if frames.shape[axis] == 3]
    if len(axes) == 1 and frames.shape[-1] > 4:
        return np.moveaxis(frames, axes[0], -1)
    remedy = "np.moveaxis(videos, 2, -1), or np.moveaxis(videos, 1, -1) if colours come before frames"
    if frames.shape[-1] == 1:
        remedy = "np.repeat(videos, 3, axis=-1), if it is grey"
    elif frames.shape[-1] == 4:
        remedy = "videos[..., :3], if the fourth is alpha"
    raise UsageError(seen, VIDEO, remedy)


def _read_audio(samples: np.ndarray, name: str) -> np.ndarray:
    """(S,) float32: what a file of 16-bit samples gives, its channels averaged."""
    seen = f"{name} is {samples.dtype} {samples.shape}."
    if samples.ndim not in (1, 2):
        raise UsageError(seen, AUDIO, "audios of (n, samples) or (n, channels, samples), or a list of sounds")
    channels = samples[None] if samples.ndim == 1 else samples
    if not 0 < len(channels) <= MOST_CHANNELS:
        raise UsageError(seen, AUDIO, "np.swapaxes(audios, -1, -2), if samples come before channels")
    if np.issubdtype(samples.dtype, np.floating):
        low, high = _range(channels, name) if channels.size else (0.0, 0.0)
        if max(-low, high) > 1 + ROUNDING:
            remedy = "audios / 32768" if max(-low, high) > 100 else "audios.clip(-1, 1)"
            seen = f"{name} is {samples.dtype} from {low:.4g} to {high:.4g}."
            raise UsageError(seen, "float in [-1, 1], or int16", remedy)
        channels = np.clip(np.rint(channels.astype(np.float64) * 32768), -32768, 32767)
    elif samples.dtype != np.int16:
        raise UsageError(seen, AUDIO, 'audios.astype("int16"), if they are in -32768 .. 32767')
    return (channels.mean(axis=0, dtype=np.float64) / 32768).astype(np.float32)


def _range(values: np.ndarray, name: str) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise NonFiniteError(f"{name} holds NaN or infinity, {count} times.", "finite numbers", "leave this clip out")
    return low, high
