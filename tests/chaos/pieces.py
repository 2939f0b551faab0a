"""What the corpus of media is made of: small clips in many encodings, and surgery on their bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from mmbench.media.clip_files import write_exact, write_lossless
from mmbench.types import Clip
from tests.media_files import write_media

FRAMES, RATE, SECONDS = 8, 16000, 0.8


def picture(height: int = 48, width: int = 64, frames: int = FRAMES) -> np.ndarray:
    """(T, H, W, 3) uint8: coarse noise that changes from frame to frame, so that nothing of it can be left out."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (frames, -(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]


def sound(seconds: float = SECONDS, rate: int = RATE, level: float = 0.2) -> np.ndarray:
    """(S,) float32 of noise."""
    noise = np.random.default_rng(1).standard_normal(round(seconds * rate))
    return np.clip(level * noise, -0.9, 0.9).astype(np.float32)


@cache
def encoded(suffix: str, video: str = "", audio: str = "", rate: int = RATE, options: str = "") -> bytes:
    """A whole file of 8 frames and 0.8 s of noise, in a container and codecs; "" for none."""
    with TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        given = dict(pair.split("=") for pair in options.split()) if options else {}
        noise = sound(rate=rate) if audio else None
        shape = {"video_codec": video, "audio_codec": audio, "rate": rate, "options": given}
        return write_media(path, picture() if video else None, noise, **shape).read_bytes()  # type: ignore[arg-type]


@cache
def ours(exact: bool = False) -> bytes:
    """A clip as the store keeps it, or as `mmbench export` writes it."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.mp4" if exact else "a.mkv")
        (write_exact if exact else write_lossless)(Clip(picture(), 10, sound(), RATE), path)
        return path.read_bytes()


@cache
def ffv1(pixel_format: str = "bgr0", width: int = 64) -> bytes:
    """A Matroska file of FFV1 with checksums and FLAC, without the mark of mmbench."""
    return raw_video("mkv", "ffv1", pixel_format, {"level": "3", "slices": "4", "slicecrc": "1"}, width, audio="flac")


@cache
def _raw_video(suffix: str, codec: str, pixel_format: str, options: str, width: int, audio: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = str(Path(folder, f"a.{suffix}"))
        with av.open(path, "w") as container:
            given = dict(pair.split("=") for pair in options.split())
            stream = container.add_stream(codec, rate=10, options=given)
            stream.width, stream.height, stream.pix_fmt = width, 48, pixel_format
            heard = container.add_stream(audio, rate=RATE, layout="mono") if audio else None
            container.start_encoding()
            if heard is not None:
                frame = av.AudioFrame.from_ndarray((sound() * 32767).astype(np.int16)[None], "s16", "mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
                container.mux([*heard.encode(frame), *heard.encode()])
            for j, pixels in enumerate(picture(width=width)):
                shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                shown.pts, shown.time_base = j, Fraction(1, 10)
                container.mux(stream.encode(shown))
            container.mux(stream.encode())
        return Path(path).read_bytes()


def raw_video(
    suffix: str, codec: str, pixel_format: str, options: dict[str, str] | None = None, width: int = 64, audio: str = ""
) -> bytes:
    """A file of 8 frames in any codec and pixel format, perhaps with sound."""
    words = " ".join(f"{key}={value}" for key, value in (options or {}).items())
    return _raw_video(suffix, codec, pixel_format, words, width, audio)


def packets(data: bytes, kind: str) -> list[tuple[int, int]]:
    """Position and size in bytes of every packet of a kind, "video" or "audio", in a file that stores them whole."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "a")
        path.write_bytes(data)
        with av.open(str(path)) as container:
            held = [bytes(packet) for packet in container.demux() if packet.size and packet.stream.type == kind]
    return [(place, len(packet)) for packet in held if (place := data.find(packet)) >= 0]


def flip(data: bytes, kind: str, number: int, part: float, mask: int = 1) -> bytes:
    """The file with bits flipped in one byte of a packet, that lies at a share of its length."""
    position, size = packets(data, kind)[number]
    return patched(data, position + int(size * part), bytes([data[position + int(size * part)] ^ mask]))


def blanked(data: bytes, kind: str, number: int, byte: int = 0) -> bytes:
    """The file with the second half of a packet overwritten by one byte."""
    position, size = packets(data, kind)[number]
    return patched(data, position + size // 2, bytes([byte]) * (size // 2))


def patched(data: bytes, position: int, new: bytes) -> bytes:
    """The file with bytes replaced at a position."""
    return data[:position] + new + data[position + len(new) :]


def replaced(data: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    """The file with bytes replaced that occur in it."""
    assert old in data
    return data.replace(old, new, count)


def boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the outermost boxes of an MP4."""
    position = 0
    while position + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[position : position + 8])
        yield name, position, position + size
        position += size


def without_box(data: bytes, name: bytes) -> bytes:
    """An MP4 without one of its outermost boxes."""
    return b"".join(data[begin:end] for found, begin, end in boxes(data) if found != name)


def wav(
    samples: np.ndarray, rate: int = RATE, form: int = 1, bits: int = 16, channels: int = 1, size: int | None = None
) -> bytes:
    """A WAV file with whatever its header is told to say."""
    data = samples.tobytes()
    block = channels * bits // 8
    about = struct.pack("<HHIIHH", form, channels, rate, rate * block % 2**32, block, bits)
    length = len(data) if size is None else size
    body = b"WAVEfmt " + struct.pack("<I", 16) + about + b"data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", min(4 + 8 + 16 + 8 + length, 2**32 - 1)) + body
