"""Clips in files: the lossless form that the store keeps, and previews for people."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from mmbench.errors import MediaError
from mmbench.media.decode import rgb_converter
from mmbench.media.demux import TAG, ffmpeg_name
from mmbench.media.regular_files import why_irregular
from mmbench.media.resample import exact_rate, resample_audio
from mmbench.types import Clip

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # [Hz]


def _target(file: str | Path | BinaryIO) -> Any:
    return ffmpeg_name(file) if isinstance(file, (str, Path)) else file


@contextmanager
def _writing(file: str | Path | BinaryIO) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise MediaError(f"The clip cannot be written to {getattr(file, 'name', file)}: {error.strerror}.") from error


def _encode_video(container: Any, stream: Any, video: np.ndarray) -> None:
    for j, pixels in enumerate(video):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = j, 1 / Fraction(stream.codec_context.framerate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _encode_audio(container: Any, stream: Any, samples: np.ndarray, rate: int) -> None:
    """Encode (S,) int16 samples; the codec's own block size is kept, so only the last block is shorter."""
    block = stream.codec_context.frame_size or 4608
    for start in range(0, len(samples), block):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + block], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write_lossless(clip: Clip, file: str | Path | BinaryIO) -> None:
    """Write a clip without loss: Matroska with FFV1 version 3 (intra only, checksums) and FLAC 16-bit mono.

    The same clip gives the same bytes (no dates, no random ids) with the same codec library. Samples are stored as
    round(32768 x). `read_lossless` gives pixels, samples, counts and rates back exactly.

    Args:
        clip: With at least one frame of at least one pixel; S = 0 writes no audio stream.
        file: Path, or a seekable binary file open for writing. Making it durable is the caller's business.

    Raises:
        MediaError: The clip is empty, or the file cannot be written.
    """
    frames, height, width = clip.video.shape[:3]
    if not clip.video.size:
        raise MediaError(f"The clip holds no pixels: {clip.video.shape}.", "at least one frame of one pixel")
    fps, samples = exact_rate(clip.fps), clip.audio_int16()
    counts = {"num_frames": frames, "num_samples": len(samples), "sample_rate": clip.sample_rate}
    about = {"fps": str(fps), **counts, "digest": clip.digest()}
    form = {"fflags": "+bitexact", "max_interleave_delta": "0"}
    with _writing(file), av.open(_target(file), "w", format="matroska", container_options=form) as container:
        container.metadata[TAG] = json.dumps(about)
        slices = "4" if min(height, width) >= 8 else "1"  # fixed, because the default follows the number of cores
        options = {"level": "3", "g": "1", "slices": slices, "slicecrc": "1"}
        video = container.add_stream("ffv1", rate=fps, options=options)
        video.width, video.height, video.pix_fmt = width, height, "bgr0"  # 8-bit RGB in FFV1 is exact
        video.codec_context.flags |= av.codec.context.Flags.bitexact
        if len(samples):
            audio = container.add_stream("flac", rate=clip.sample_rate, layout="mono", format="s16")
            audio.codec_context.flags |= av.codec.context.Flags.bitexact
            container.start_encoding()
            _encode_audio(container, audio, samples, clip.sample_rate)
        _encode_video(container, video, clip.video)


def read_lossless(file: str | Path | BinaryIO) -> Clip:
    """Read what `write_lossless` wrote, exactly; `mmbench.media.decode` reads other people's files.

    Raises:
        MediaError: Not such a file, or it does not hold the very pixels and samples that it announces.
    """
    name = getattr(file, "name", file)
    if isinstance(file, (str, Path)) and (why := why_irregular(file)):
        raise MediaError(f"{name} {why}.", "a file of the sample store", "mmbench verify")
    frames: list[np.ndarray] = []
    blocks: list[np.ndarray] = []
    rgb = rgb_converter()
    try:
        with av.open(_target(file), "r", format="matroska", metadata_errors="replace") as container:
            if TAG not in container.metadata:
                raise MediaError(f"{name} is not a lossless clip of mmbench.", "a file of the sample store")
            about = json.loads(container.metadata[TAG])
            for frame in container.decode(*container.streams.video, *container.streams.audio):
                if isinstance(frame, av.VideoFrame):
                    frames.append(rgb(frame))
                else:
                    blocks.append(frame.to_ndarray()[0])
        samples = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
        audio = samples.astype(np.float32) / np.float32(32768)
        counts = len(frames), len(samples)
        if counts != (about["num_frames"], about["num_samples"]):
            raise MediaError(
                f"{name} holds {counts[0]} frames and {counts[1]} samples.",
                f"{about['num_frames']} frames and {about['num_samples']} samples, as it announces",
                "mmbench verify",
            )
        clip = Clip(np.stack(frames), Fraction(about["fps"]), audio, about["sample_rate"])
        intact = clip.digest() == about["digest"]
    except (OSError, av.FFmpegError, ValueError, KeyError, TypeError, ArithmeticError, MemoryError) as error:
        raise MediaError(f"{name} is damaged: {error}.", "a whole lossless clip", "mmbench verify") from error
    if not intact:  # FFV1 decoders patch damaged slices and say nothing
        raise MediaError(f"{name} is damaged: its pixels or samples are not what was written.", "", "mmbench verify")
    return clip


def write_exact(clip: Clip, file: str | Path) -> None:
    """Write a clip without loss as an MP4 that software decoders read: H.264 of RGB with quantiser 0, and ALAC.

    PyAV, OpenCV, decord and ffmpeg give its pixels and samples back exactly; browsers and hardware decoders mostly have
    no H.264 of RGB. Samples are stored as round(32768 x); S = 0 writes no sound.

    Raises:
        MediaError: The clip is empty, or the file cannot be written.
    """
    if not clip.video.size:
        raise MediaError(f"The clip holds no pixels: {clip.video.shape}.", "at least one frame of one pixel")
    form = {"movflags": "+faststart", "fflags": "+bitexact", "max_interleave_delta": "0"}
    with _writing(file), av.open(_target(file), "w", format="mp4", options=form) as container:
        options = {"qp": "0", "preset": "veryfast", "bf": "0", "threads": "1"}
        video = container.add_stream("libx264rgb", rate=exact_rate(clip.fps), options=options)
        video.width, video.height, video.pix_fmt = clip.video.shape[2], clip.video.shape[1], "rgb24"
        if len(clip.audio):
            audio = container.add_stream("alac", rate=clip.sample_rate, layout="mono", format="s16p")
            container.start_encoding()
            _encode_audio(container, audio, clip.audio_int16(), clip.sample_rate)
        _encode_video(container, video, clip.video)


def write_wav(clip: Clip, file: str | Path) -> None:
    """Write a clip's sound as WAV: 16-bit mono at its own rate, samples as round(32768 x)."""
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(clip.sample_rate)
        out.writeframes(clip.audio_int16().astype("<i2").tobytes())


def write_preview(clip: Clip, file: str | Path) -> None:
    """Write a small H.264/AAC MP4 that browsers play, for people only: no metric reads it.

    Odd sizes gain one repeated row or column; a sample rate that AAC lacks becomes the next higher one it has.

    Raises:
        MediaError: The clip is empty, or the file cannot be written.
    """
    if not clip.video.size:
        raise MediaError(f"The clip holds no pixels: {clip.video.shape}.", "at least one frame of one pixel")
    height, width = clip.video.shape[1:3]
    pixels = np.pad(clip.video, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    if len(clip.audio) and clip.sample_rate not in AAC_RATES:
        clip = resample_audio(clip, next((r for r in AAC_RATES if r > clip.sample_rate), AAC_RATES[-1]))
    form = {"movflags": "+faststart", "max_interleave_delta": "0"}
    with _writing(file), av.open(_target(file), "w", format="mp4", options=form) as container:
        video = container.add_stream("libx264", rate=exact_rate(clip.fps), options={"crf": "18"})
        video.width, video.height, video.pix_fmt = pixels.shape[2], pixels.shape[1], "yuv420p"
        if len(clip.audio):
            audio = container.add_stream("aac", rate=clip.sample_rate, layout="mono")
            audio.codec_context.bit_rate = 128_000
            container.start_encoding()
            _encode_audio(container, audio, clip.audio_int16(), clip.sample_rate)
        _encode_video(container, video, pixels)
