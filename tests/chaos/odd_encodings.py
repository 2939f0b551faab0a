"""Odd encodings: formats, time stamps, sizes and headers that are rare, impossible or a lie."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tests.chaos.medium import REFUSED, SCORED, SOUNDS, WARNED, WHOLE, Medium, beside, holding
from tests.chaos.pieces import (
    FRAMES,
    RATE,
    boxes,
    encoded,
    patched,
    picture,
    raw_video,
    replaced,
    sound,
    wav,
    without_box,
)
from tests.media_files import turn, write_media

PICTURES = {  # codec and pixel format by name of the file
    "10 bit.mp4": ("libx264", "yuv420p10le"),
    "444.mp4": ("libx264", "yuv444p"),
    "gray.mkv": ("ffv1", "gray"),
    "gray16.mkv": ("ffv1", "gray16le"),
    "alpha.mkv": ("ffv1", "bgra"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "huffyuv.avi": ("huffyuv", "yuv422p"),
    "raw.avi": ("rawvideo", "yuv420p"),
    "png.mov": ("png", "rgb24"),
    "prores.mov": ("prores_ks", "yuv422p10le"),
    "mpeg2.mkv": ("mpeg2video", "yuv420p"),
    "vp9 444.webm": ("libvpx-vp9", "yuv444p"),
    "utvideo.avi": ("utvideo", "gbrp"),
    "qtrle.mov": ("qtrle", "rgb24"),
}
SOUND_CODECS = {  # codec by name of the file
    "alac.m4a": "alac",
    "24 bit.wav": "pcm_s24le",
    "32 bit.wav": "pcm_s32le",
    "float.wav": "pcm_f32le",
    "double.wav": "pcm_f64le",
    "unsigned.wav": "pcm_u8",
    "mulaw.wav": "pcm_mulaw",
    "alaw.wav": "pcm_alaw",
    "adpcm.wav": "adpcm_ima_wav",
    "flac.ogg": "flac",
}


def formats() -> Iterator[Medium]:
    """Rare codecs, sizes and layouts, all of them right."""
    for name, (codec, pixels) in PICTURES.items():
        yield holding(name, partial(raw_video, Path(name).suffix[1:], codec, pixels), WARNED, "no_audio")
    for name, codec in SOUND_CODECS.items():
        suffix = {"m4a": "mp4"}.get(Path(name).suffix[1:], Path(name).suffix[1:])
        yield beside(name, partial(encoded, suffix, audio=codec), SCORED)
    for rate in (8000, 11025, 44100, 96000):
        yield beside(f"rate {rate}.flac", partial(encoded, "flac", audio="flac", rate=rate), SCORED)
    stereo = np.stack([sound(), 0.5 * sound()])
    yield Medium("stereo.mp4", lambda path: write_media(path, picture(), stereo), SCORED)
    yield beside("four channels.wav", lambda: wav(np.zeros(4 * 12800, np.int16), channels=4), WARNED, "silent")
    yield Medium("turned.mp4", lambda path: turn(write_media(path, picture(), sound()), height=48), SCORED)
    yield holding("odd size.mkv", lambda: raw_video("mkv", "ffv1", "bgr0", width=33, audio="flac"), SCORED)
    yield holding("eight columns.mkv", lambda: raw_video("mkv", "ffv1", "gray", width=8, audio="flac"), SCORED)
    yield Medium("one frame.mp4", lambda path: write_media(path, picture(frames=1), sound(0.1)), SCORED)
    yield Medium("frozen.mp4", lambda path: write_media(path, picture()[[0] * FRAMES], sound()), WARNED, "frozen")
    yield Medium("silent.mp4", lambda path: write_media(path, picture(), 0 * sound()), WARNED, "silent")
    square = np.sign(sound()).astype(np.float32)
    yield beside("clipped.wav", lambda: wav((32767 * np.repeat(square[::8], 8)).astype(np.int16)), WARNED, "clipped")
    yield holding("no sound.mp4", lambda: encoded("mp4", "libx264"), WARNED, "no_audio")


def timings() -> Iterator[Medium]:
    """Clocks that are uneven, late, long or backwards."""
    uneven = list(np.cumsum([0.0, 0.05, 0.12, 0.08, 0.15, 0.1, 0.05, 0.11]))
    for suffix in ("mp4", "mkv", "mov"):
        make = lambda path: write_media(path, picture(), sound(), stamps=uneven)  # noqa: E731
        yield Medium(f"uneven {suffix}.{suffix}", make, SCORED)
    for late in (0.05, 0.3):
        words = "lengths" if late > 0.2 else ""
        make = lambda path, late=late: write_media(path, picture(), sound(), sound_start=late)  # noqa: E731
        yield Medium(f"late sound {late} mkv.mkv".replace("0.", "0"), make, WARNED if late > 0.2 else SCORED, words)
        yield Medium(f"late sound {late} mp4.mp4".replace("0.", "0"), make, WARNED if late > 0.2 else SCORED, words)
    yield Medium("long sound.mp4", lambda path: write_media(path, picture(), sound(3.0)), WARNED, "lengths")
    yield Medium("short sound.mp4", lambda path: write_media(path, picture(), sound(0.3)), WARNED, "lengths")
    gap = [0.0, 0.1, 0.2, 0.3, 20.0, 20.1, 20.2, 20.3]
    yield Medium("gap of 20 s.mkv", lambda path: write_media(path, picture(), sound(), stamps=gap), WARNED, "repeated")
    for rate in (1, 240, 999):
        make = partial(write_media, video=picture(), fps=rate)
        yield Medium(f"fps {rate}.mp4", make, WARNED, "no_audio")
    for name, far in (("day", 86400.0), ("300000 s", 3e5), ("year", 3e7)):
        stamps = [*(0.1 * j for j in range(FRAMES - 1)), far]
        make = lambda path, stamps=stamps: write_media(path, picture(), sound(), stamps=stamps)  # noqa: E731
        yield Medium(f"last frame after a {name}.mkv", make, REFUSED, "MMBENCH_MAX_SECONDS raises that")
    two = [0.0, 0.038]
    for far in (3e5, 3e7):
        make = lambda path, far=far: write_media(path, picture(frames=3), None, stamps=[*two, far])  # noqa: E731
        yield Medium(f"three frames and {far:.0f} s.mkv", make, REFUSED, "MMBENCH_MAX_SECONDS")
    make = lambda path: write_media(path, picture(), sound(), sound_start=2e5)  # noqa: E731
    yield Medium("sound after two days.mkv", make, REFUSED, "MMBENCH_MAX_SECONDS")


def limits() -> Iterator[Medium]:
    """Small files that ask for much."""
    huge = lambda: patched(f := WHOLE["vp8.webm"](), f.index(b"\x9d\x01\x2a") + 3, b"\xff\x3f\xff\x3f")  # noqa: E731
    yield holding("vp8 of 16383x16383.webm", huge, REFUSED)
    yield Medium("fps 5000.mp4", lambda path: write_media(path, picture(), None, fps=5000), REFUSED, "MMBENCH_MAX_FPS")
    tone = np.zeros(12800, np.int16)
    yield beside("rate 4 MHz.wav", lambda: wav(tone, rate=4_000_000), REFUSED, "MMBENCH_MAX_SAMPLE_RATE")
    long_flac = lambda: patched(f := SOUNDS["flac.flac"](), 21, bytes([f[21] & 0xF0 | 1]))  # noqa: E731
    yield beside("days of flac.flac", long_flac, REFUSED, "MMBENCH_MAX_SECONDS")
    yield beside("rate 1.wav", lambda: wav(np.zeros(12800, np.int16), rate=1), REFUSED, "MMBENCH_MAX_SECONDS")


def boxes_and_headers() -> Iterator[Medium]:
    """Headers that are missing, changed, or say what cannot be."""
    mp4, mkv = WHOLE["h264.mp4"], WHOLE["h264.mkv"]
    for name, old, new, words in (
        ("video codec", b"avc1\0\0\0\0", b"zzzz\0\0\0\0", "a codec that FFmpeg does not know"),
        ("no tracks", b"trak", b"free", ""),
        ("no sample sizes", b"stsz", b"free", ""),
        ("no offsets", b"stco", b"free", ""),
        ("no times", b"stts", b"free", ""),
        ("no description", b"stsd", b"free", ""),
        ("no avcC", b"avcC", b"free", ""),
    ):
        yield holding(f"mp4 {name}.mp4", lambda o=old, n=new: replaced(mp4(), o, n), REFUSED, words)  # type: ignore[misc]
    yield holding("no moov.mp4", lambda: without_box(mp4(), b"moov"), REFUSED, "has no index")
    yield holding("no mdat.mp4", lambda: without_box(mp4(), b"mdat"), REFUSED)
    yield holding("being written.mp4", lambda: without_box(mp4(), b"moov")[:3000], REFUSED)

    def sized(name: bytes, size: int) -> Callable[[], bytes]:
        return lambda: patched(mp4(), next(b for n, b, _ in boxes(mp4()) if n == name), struct.pack(">I", size))

    yield holding("mdat of 4 GB.mp4", sized(b"mdat", 2**32 - 1), REFUSED, "is cut off")
    yield holding("mdat of 9 bytes.mp4", sized(b"mdat", 9), REFUSED)
    yield holding("moov of 9 bytes.mp4", sized(b"moov", 9), REFUSED)
    yield holding("garbage behind.mp4", lambda: mp4() + b"\xff" * 999, SCORED)
    yield holding("zeros behind.mp4", lambda: mp4() + bytes(999), SCORED)
    yield holding("garbage before.mp4", lambda: b"\xff" * 999 + mp4(), REFUSED)
    yield holding("twice.mp4", lambda: mp4() + mp4(), SCORED)
    yield holding("more behind.mkv", lambda: mkv() + b"\xff" * 999, SCORED)
    yield holding("twice mkv.mkv", lambda: mkv() + mkv(), SCORED)
    for name, old, new, words in (
        ("video codec", b"V_MPEG4/ISO/AVC", b"V_ZZZZZ/ISO/AVC", "a codec that FFmpeg does not know"),
        ("sound codec", b"A_AAC", b"A_ZZZ", "a codec that FFmpeg does not know"),
        ("no clusters", b"\x1f\x43\xb6\x75", b"\x1f\x43\xb6\x76", ""),
        ("no tracks", b"\x16\x54\xae\x6b", b"\x16\x54\xae\x6c", ""),
    ):
        yield holding(f"mkv {name}.mkv", lambda o=old, n=new: replaced(mkv(), o, n), REFUSED, words)  # type: ignore[misc]

    def unsized(data: bytes) -> bytes:
        place = data.index(b"\x18\x53\x80\x67") + 4
        return patched(data, place, b"\x01" + b"\xff" * 7)

    yield holding("streamed segment.mkv", lambda: unsized(mkv()), SCORED)
    noise = (32767 * sound()).astype(np.int16)
    yield beside("streamed.wav", lambda: wav(noise, size=2**32 - 1), REFUSED)
    yield beside("no channel.wav", lambda: wav(noise, channels=0), REFUSED)
    yield beside("rate 0.wav", lambda: wav(noise, rate=0), REFUSED)
    yield beside("0 bits.wav", lambda: wav(noise, bits=0), REFUSED)
    yield beside("unknown form.wav", lambda: wav(noise, form=0x7777), REFUSED)
    yield beside("nan.wav", lambda: wav(np.full(12800, np.nan, np.float32), form=3, bits=32), REFUSED, "NaN")
    yield beside("infinite.wav", lambda: wav(np.full(12800, np.inf, np.float32), form=3, bits=32), REFUSED, "NaN")
    yield beside("loud.wav", lambda: wav(np.float32(9) * sound(), form=3, bits=32), WARNED, "clipped")
    yield beside("no samples.wav", lambda: wav(noise[:0]), REFUSED)
    yield beside("half a header.wav", lambda: wav(noise)[:30], REFUSED)
    yield beside("id3 of 256 MB.mp3", lambda: b"ID3\4\0\0\x7f\x7f\x7f\x7f" + SOUNDS["bare.mp3"](), REFUSED)
    yield beside("frames of noise.mp3", lambda: b"\xff\xfb\x90\0" * 4000, REFUSED)
    mixed = lambda: SOUNDS["bare.mp3"]() + SOUNDS["flac.flac"]()  # noqa: E731
    yield beside("flac behind.mp3", mixed, REFUSED)
    streaminfo = lambda: patched(SOUNDS["flac.flac"](), 8, b"\0" * 4)  # noqa: E731
    yield beside("blocks of 0.flac", streaminfo, REFUSED)
    avi = WHOLE["pcm.avi"]
    yield holding("no index.avi", lambda: replaced(avi(), b"idx1", b"JUNK"), SCORED)
    yield holding("no movi.avi", lambda: replaced(avi(), b"movi", b"zovi"), REFUSED)
    yield holding("no headers.avi", lambda: replaced(avi(), b"hdrl", b"zdrl"), SCORED)
    yield beside("rate.wav", lambda: wav(noise, rate=RATE), SCORED)
