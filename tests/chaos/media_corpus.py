"""A corpus of malformed and odd media, made by code, each with the verdict that it must get.

REFUSED: not scored, with a reason that holds the words. SCORED: scored without a warning. WARNED: scored, with the
warning that the words name. Whatever a clip's verdict, the clips beside it are scored.
"""

from __future__ import annotations

import gzip
import os
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tests.chaos.hostile_tars import damaged_archives, odd_members
from tests.chaos.medium import REFUSED, SCORED, SOUNDS, WARNED, WHOLE, Medium, beside, called, holding
from tests.chaos.odd_encodings import boxes_and_headers, formats, limits, timings
from tests.chaos.pieces import (
    blanked,
    encoded,
    ffv1,
    flip,
    ours,
    replaced,
)


def whole_files() -> Iterator[Medium]:
    """Ordinary ones, which must all be scored."""
    for name, data in WHOLE.items():
        gap = name == "mp3.avi"  # its muxer leaves a chunk without a frame
        yield holding(called("whole", name), data, WARNED if gap else SCORED, "repeated_frames" if gap else "")
    for name, data in SOUNDS.items():
        yield beside(called("whole", name), data, SCORED)


def shortened(data: Callable[[], bytes], percent: int) -> Callable[[], bytes]:
    """The first part of a file."""
    return lambda: data()[: len(data()) * percent // 100]


def zeroed(data: Callable[[], bytes]) -> Callable[[], bytes]:
    """A file of which the last part never came, in the place that was kept for it."""
    return lambda: shortened(data, 60)().ljust(len(data()), b"\0")


def cut_files() -> Iterator[Medium]:
    """Ends that are missing."""
    for name, data in WHOLE.items():
        for percent in (3, 25, 50, 75, 90, 99):
            words = "" if percent == 3 else "is cut off: "
            yield holding(called(f"cut {percent}", name), shortened(data, percent), REFUSED, words)
    for name, data in SOUNDS.items():
        for percent in (50, 75, 90, 99):
            yield beside(called(f"cut {percent}", name), shortened(data, percent), REFUSED)
    for name in ("faststart.mp4", "h264.mkv", "ours.mkv", "vp9.webm"):
        yield holding(called("zeros", name), zeroed(WHOLE[name]), REFUSED)


def damaged_files() -> Iterator[Medium]:
    """Bits that flipped where a checksum covers them, and gaps in what a lossy codec wrote."""

    def flipped(data: Callable[[], bytes], kind: str, number: int, percent: int) -> Callable[[], bytes]:
        return lambda: flip(data(), kind, number, percent / 100, 4)

    def gap(name: str, kind: str, number: int) -> Callable[[], bytes]:
        return lambda: blanked(WHOLE[name](), kind, number, 255)

    for number in (0, 3, 7):
        for percent in (20, 50, 80):
            for name, data in (("ffv1", ffv1), ("ours", ours)):
                place = f"{number} {percent}.mkv"
                yield holding(f"{name} video {place}", flipped(data, "video", number, percent), REFUSED, "checksum")
                audio = flipped(data, "audio", number % 3, percent)
                yield holding(f"{name} audio {place}", audio, REFUSED, "is damaged in its audio")
    for name in ("h264.mp4", "h264.mkv", "mp3.avi", "mpeg4.mp4"):
        for number in (0, 2):
            yield holding(called(f"gap {number}", name), gap(name, "video", number), REFUSED)
    yield holding("gap in sound.mp4", gap("h264.mp4", "audio", 4), REFUSED, "is damaged in its audio")
    for percent in (30, 60):
        yield beside(f"flip {percent}.flac", flipped(SOUNDS["flac.flac"], "audio", 1, percent), REFUSED, "damaged")
    yield beside("page.ogg", flipped(SOUNDS["opus.ogg"], "audio", 20, 50), REFUSED)
    yield holding("tag.mkv", lambda: replaced(ours(), b'"digest": ', b'"digest":0'), REFUSED, "tag MMBENCH")


NOT_MEDIA: dict[str, bytes] = {
    "empty": b"",
    "byte": b"\0",
    "text": b"a clip of a dog barking\n" * 100,
    "page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "json": b'{"error": "quota exceeded"}',
    "gzip": gzip.compress(b"0" * 1000),
    "zip": b"PK\3\4" + bytes(100),
    "pdf": b"%PDF-1.4\n" + bytes(100),
    "random": np.random.default_rng(5).bytes(5000),
    "zeros": bytes(5000),
    "ones": b"\xff" * 5000,
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole h264 mp4.mp4\n#EXT-X-ENDLIST\n",
    "hls web": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile 'whole h264 mp4.mp4'\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n",
    "ppm": b"P6 64 48 255\n" + bytes(64 * 48 * 3),
    "gif": b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    "ftyp": struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom"),
    "ebml": b"\x1a\x45\xdf\xa3",
    "riff": b"RIFF\xff\xff\xff\xffAVI LIST",
    "flv": b"FLV\1\5\0\0\0\t\0\0\0\0",
}


def what_is_no_media() -> Iterator[Medium]:
    """Other files called like media; some name files or addresses that a player would open."""
    for name, data in NOT_MEDIA.items():
        yield holding(f"no media {name}.mp4", partial(bytes, data), REFUSED)
    for name in ("text", "page", "zeros", "random", "hls"):
        yield holding(f"no matroska {name}.mkv", partial(bytes, NOT_MEDIA[name]), REFUSED)
        yield beside(f"no sound {name}.wav", partial(bytes, NOT_MEDIA[name]), REFUSED)
    yield holding("sound alone.mp4", lambda: SOUNDS["s16.wav"](), REFUSED, "no video")
    yield Medium("lone.wav", lambda path: path.write_bytes(SOUNDS["s16.wav"]()), REFUSED, "without a video")
    yield beside("video as sound.wav", lambda: encoded("mkv", "libx264"), REFUSED, "no audio")


def socket_at(path: Path) -> None:
    """Bind a socket to a path of any length."""
    server, here = socket.socket(socket.AF_UNIX), os.getcwd()
    try:
        os.chdir(path.parent)
        server.bind(path.name)
    finally:
        os.chdir(here)
        server.close()


def special_files() -> Iterator[Medium]:
    """What is no regular file."""
    yield Medium("dangling.mp4", lambda path: path.symlink_to("nowhere.mp4"), REFUSED, "cannot be followed")
    yield Medium("loop.mp4", lambda path: path.symlink_to(path.name), REFUSED, "cannot be followed")
    yield Medium("fifo.mp4", os.mkfifo, REFUSED, "is a FIFO")
    yield Medium("socket.mp4", socket_at, REFUSED, "is a socket")
    yield Medium("folder.mp4", Path.mkdir, REFUSED, "is a folder")
    yield Medium("folder of links.mp4", lambda path: path.symlink_to("."), REFUSED, "is a folder")
    yield Medium("zero.mp4", lambda path: path.symlink_to("/dev/zero"), REFUSED, "is a device")
    yield Medium("fifo alone.wav", os.mkfifo, REFUSED, "is a FIFO")

    def with_video(make: Callable[[Path], object]) -> Callable[[Path], object]:
        return lambda path: (make(path), path.with_suffix(".mp4").write_bytes(encoded("mp4", "libx264")))

    yield Medium("fifo beside.wav", with_video(os.mkfifo), REFUSED, "is a FIFO")
    yield Medium("link beside.wav", with_video(lambda path: path.symlink_to("none")), REFUSED, "cannot be followed")

    def linked(path: Path) -> None:
        path.with_suffix(".bin").write_bytes(WHOLE["h264.mp4"]())
        path.symlink_to(path.with_suffix(".bin").name)

    yield Medium("link.mp4", linked, SCORED)


NAMES = (
    *("concat:a.mp4", "pipe:0.mp4", "http:a.mp4", "file:a.mp4", "data:a.mp4", "subfile,,start,0,end,9,,:a.mp4"),
    *("-rf.mp4", "a b.mp4", "a'b.mp4", 'a"b.mp4', "a\nb.mp4", "a\u2028b.mp4", "\u202egpj.mp4", "%s%d%n.mp4"),
    *("$(id).mp4", "<script>alert(1)<!--.mp4", "=1+1.mp4", "\x1b[2J.mp4", "UPPER.MP4", "more.dots.mp4"),
    *("\U0001f980.mp4", "é.mp4", "x" * 240 + ".mp4"),
)


def odd_names() -> Iterator[Medium]:
    """Whole clips, whatever they are called; a name that is not UTF-8 is refused."""
    for name in NAMES:
        yield holding(name, WHOLE["h264.mp4"], SCORED)
    for name in (b"caf\xe9.mp4", b"\xff\xfe.mkv"):
        yield holding(os.fsdecode(name), WHOLE["h264.mp4"], REFUSED, "not in UTF-8")


FAMILIES = (
    *(whole_files, cut_files, damaged_files, what_is_no_media, special_files, odd_names),
    *(formats, timings, limits, boxes_and_headers),
    *(odd_members, damaged_archives),
)


def corpus() -> list[Medium]:
    """All of it, in families."""
    return [medium for family in FAMILIES for medium in family()]
