"""Decoding anybody's clips: what the file holds, by its own time stamps, with a record of every loss and repair."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from av.video.reformatter import VideoReformatter

from mmbench.errors import MediaError
from mmbench.media.demux import TAG, Track, media_errors, moving_streams, open_media, read_packets, set_up_decoder
from mmbench.media.limits import Bounds
from mmbench.media.timeline import AudioTimeline, constant_rate, nominal_rate, shown_frames
from mmbench.media.watchdog import run_watched
from mmbench.types import Clip

Channel = Literal["mean", "first"]
GIB = 1 << 30


def rgb_converter() -> Callable[[Any], np.ndarray]:
    """A function from decoded frames of one video to (H, W, 3) uint8.

    The pixels are those of `frame.to_ndarray("rgb24")`, in a tenth of its time, because tables are made once.
    """
    reformatter = VideoReformatter()

    def rgb(frame: Any) -> np.ndarray:
        return reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()

    return rgb


def probe(path: str | Path) -> dict[str, Any]:
    """What a file holds, from its packets and first frame; costs a read of the file, no full decode.

    Returns:
        `container`, `duration` [s], and `video` (codec, lossy, width, height, fps as "n/d", variable_rate, frames at
        that rate) and `audio` (codec, lossy, sample_rate [Hz], channels, duration [s]), each None where there is none.

    Raises:
        MediaError: The file cannot be read, ends early, or holds neither video nor sound.
    """
    with media_errors(path):
        bounds = Bounds(path)
        return run_watched(lambda: _probe(path, bounds), bounds)


def _probe(path: str | Path, bounds: Bounds) -> dict[str, Any]:
    reading = read_packets(path, "va", "", bounds)
    tracks, container = reading.tracks, reading.container
    report: dict[str, Any] = {"container": container, "duration": 0.0, "video": None, "audio": None}
    if "v" in tracks:
        track = tracks["v"]
        with open_media(path, bounds) as (opened, _):
            pictures = moving_streams(opened)[0]
            set_up_decoder(pictures, bounds)
            first = next(opened.decode(pictures), None)
        if first is None:
            raise MediaError(f"{path} holds a video stream without a frame.", "at least one frame")
        fps, variable, index = _clock(track.times, track, bounds)
        height, width = _upright(np.empty((first.height, first.width, 0)), first.rotation).shape[:2]
        seen = {"width": width, "height": height, "fps": str(fps), "variable_rate": variable, "frames": len(index)}
        report["video"] = {**track.about, **seen}
        report["duration"] = float(len(index) / fps)
    if "a" in tracks:
        track = tracks["a"]
        begin = max(tracks["v"].times[0] if "v" in tracks else Fraction(0), min(track.lengths, default=Fraction(0)))
        seconds = max(0.0, float((track.end or begin) - begin))
        report["audio"] = {**track.about, "duration": seconds}
        report["duration"] = max(report["duration"], seconds)
    return report


def _clock(times: list[Fraction], track: Track, bounds: Bounds) -> tuple[Fraction, bool, np.ndarray]:
    """Constant rate, whether the source's rate varies, and the index of the source frame shown at each tick."""
    if not times:
        raise MediaError("The video has no time stamps.", "a container with time stamps (mp4, mov, mkv, webm)")
    constant = constant_rate(times, track.rates)
    fps = constant or nominal_rate(times, track.rates)
    bounds.check("fps", float(fps))
    if constant:
        return constant, False, np.arange(len(times))
    return fps, True, shown_frames(times, fps, max(track.end or times[-1], times[-1] + 1 / fps) - times[0])


def _upright(frame: np.ndarray, rotation: int) -> np.ndarray:
    """Apply the display rotation (counter-clockwise, degrees); only quarter turns occur in practice."""
    return np.rot90(frame, round(rotation / 90) % 4)


def _mono(frame: Any, channel: Channel) -> np.ndarray:
    """One channel of a decoded audio frame: (n,) float32; integers of b bits are divided by 2^(b - 1)."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128
        full_scale = 128.0
    else:
        full_scale = 1.0 if samples.dtype.kind == "f" else 2.0 ** (8 * samples.dtype.itemsize - 1)
    mixed = samples[0].astype(np.float64) if channel == "first" else samples.mean(axis=0, dtype=np.float64)
    return (mixed / full_scale).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Recording:
    """A decoded file of any length; clips are cut out of it by time.

    Attributes:
        video: (T, H, W, 3) uint8 at the constant rate `fps` [1/s].
        start: Time of frame 0 [s] on the clock of `sound`.
        sound: Where each audio sample lies in time; None without audio.
        notes: Codecs, container, original rates and sizes, losses and repairs.
        tag: What mmbench wrote into a clip of its own; "" in other files.
    """

    video: np.ndarray
    fps: Fraction
    start: Fraction
    sound: AudioTimeline | None
    notes: dict[str, Any]
    tag: str = ""

    def clip(self, first: int = 0, num_frames: int | None = None) -> Clip:
        """Frames first .. first + num_frames - 1 with the samples of the same time.

        The audio is what lies in [t, t + num_frames / fps), t the time of frame `first`; without `num_frames` all that
        follows. It is shorter where the sound ends early (S = 0 where there is none at all).
        """
        video = self.video[first : None if num_frames is None else first + num_frames]
        steps = list(self.notes["steps"])
        if self.sound is None:
            return Clip(video, self.fps, np.zeros(0, np.float32), 16000, {**self.notes, "steps": steps})
        rate = self.sound.rate
        length = None if num_frames is None else round(Fraction(num_frames) / self.fps * rate)
        audio, silent = self.sound.window(self.start + first / self.fps, length)
        if silent:
            steps.append(f"{silent} samples without sound in the source, silence")
        if not np.isfinite(audio).all():
            raise MediaError("The sound holds NaN or infinity.", "finite samples", "encode the sound again")
        outside = int(np.count_nonzero(np.abs(audio) > 1.0))
        if outside:
            steps.append(f"{outside} samples beyond full scale, clipped (peak {np.abs(audio).max():.3f})")
        return Clip(video, self.fps, np.clip(audio, -1.0, 1.0), rate, {**self.notes, "steps": steps})


def record(
    path: str | Path,
    audio_path: str | Path | None = None,
    channel: Channel = "mean",
    scale: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Recording:
    """Decode a whole file, or the video of one and the sound of another (both then begin together).

    Args:
        path: File with video.
        audio_path: File with the sound; that of `path` is then ignored.
        channel: "mean" of all channels, or the "first".
        scale: Makes each (H, W, 3) picture smaller as it comes, for videos too large to be kept whole.

    Raises:
        MediaError: A file cannot be read, is damaged or ends early, or holds no video (no sound: `audio_path`).
    """
    with media_errors(path):
        bounds, files = Bounds(path), 2 if audio_path else 1
        return run_watched(lambda: _record(path, audio_path, channel, scale, bounds), bounds, files)


def _record(
    path: str | Path,
    audio_path: str | Path | None,
    channel: Channel,
    scale: Callable[[np.ndarray], np.ndarray] | None,
    bounds: Bounds,
) -> Recording:
    pixels: list[np.ndarray] = []
    times: list[Fraction] = []
    sounds: list[tuple[Fraction | None, np.ndarray]] = []
    shape: dict[str, Any] = {}
    rgb, num_samples = rgb_converter(), 0

    def check_size(num_frames: int) -> None:
        sound_bytes = num_samples * np.dtype(np.float32).itemsize
        bounds.check("gib", (num_frames * (pixels[0].size if pixels else 0) + sound_bytes) / GIB)

    def use(kind: str, frame: Any) -> None:
        nonlocal num_samples
        time = None if frame.pts is None else frame.pts * frame.time_base
        if kind == "v":
            form = frame.width, frame.height, frame.rotation
        else:
            form = frame.sample_rate, frame.layout.nb_channels, frame.time_base
        if shape.setdefault(kind, form) != form:
            raise MediaError(f"{path} changes its frame size or sample rate on the way.", "one size and one rate")
        if kind == "a":
            sounds.append((time, _mono(frame, channel)))
            num_samples += frame.samples
            check_size(len(pixels))
            return
        if time is None:
            raise MediaError(f"{path} has frames without time stamps.", "a container with time stamps (mp4, mkv)")
        times.append(time)
        picture = _upright(rgb(frame), frame.rotation)
        shape["size"] = picture.shape[:2]
        pixels.append(picture if scale is None else scale(picture))
        check_size(len(pixels))

    reading = read_packets(path, "v" if audio_path else "va", "v", bounds, use)
    tracks, container = reading.tracks, reading.container
    if audio_path:
        sound_reading = read_packets(audio_path, "a", "a", Bounds(audio_path), use)
        tracks = tracks | sound_reading.tracks
        container = f"{container} + {sound_reading.container}"
    if not pixels:
        raise MediaError(f"{path} holds a video stream without a frame.", "at least one frame")
    track = tracks["v"]
    order = sorted(range(len(times)), key=times.__getitem__)
    times = [times[i] for i in order]
    fps, variable, index = _clock(times, track, bounds)
    check_size(len(index))
    video = np.empty((len(index), *pixels[0].shape), np.uint8)
    for k, i in enumerate(index):
        video[k] = pixels[order[i]]
        if k + 1 == len(index) or index[k + 1] != i:  # frames of a large video are not held twice
            pixels[order[i]] = video[k]
    steps = [f"variable frame rate -> constant {fps} 1/s, nearest earlier frame"] if variable else []
    height, width = shape["size"]
    notes: dict[str, Any] = {"container": container, "steps": steps, "audio": None}
    seen = {"fps": str(fps), "variable_rate": variable, "width": width, "height": height, "frames": len(times)}
    notes["video"] = {**track.about, **seen, "rotation": shape["v"][2]}
    sound, start = None, times[0]
    if sounds:
        rate, channels, time_base = shape["a"]
        sound = AudioTimeline.from_frames(rate, time_base, sounds)
        if audio_path:
            start = sound.segments[0][0]
        heard = {"sample_rate": rate, "channels": channels, "channel": channel, "samples": sound.num_samples}
        notes["audio"] = {**tracks["a"].about, **heard}
    else:
        steps.append("no audio in the source")
    return Recording(video, fps, start, sound, notes, "" if audio_path else reading.tag)


def decode(path: str | Path, audio_path: str | Path | None = None, channel: Channel = "mean") -> Clip:
    """Decode a clip: video from `path`, sound from there or from `audio_path`.

    The clip begins with the first frame; by time stamp, earlier sound is dropped and sound that begins later is
    preceded by silence. `notes` tell container, codecs, what is lossy, original rate, size and channels, and all steps
    taken. See `record` for arguments and errors.
    """
    recording = record(path, audio_path, channel)
    with media_errors(path):
        clip = recording.clip()
        if recording.tag and not any((clip.notes[half] or {}).get("lossy") for half in ("video", "audio")):
            _check_tag(path, clip, recording.tag)
    return clip


def _check_tag(path: str | Path, clip: Clip, tag: str) -> None:
    """Refuse a clip of ours without the digest that its file announces, which covers what checksums do not."""
    try:
        about = json.loads(tag)
        silent = replace(clip, sample_rate=about["sample_rate"])  # without sound no stream says its rate
        intact = (clip if len(clip.audio) else silent).digest() == about["digest"]
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        remedy = f"ffmpeg -i {shlex.quote(str(path))} -c copy -map_metadata -1 NEW.mkv, if it was changed on purpose"
        found = f"{path} is damaged, or was changed: its pixels and samples are not those that its tag {TAG} announces."
        raise MediaError(found, "the clip as mmbench wrote it", remedy)
