"""One odd file of the corpus with its verdict, and the ordinary files that others are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.pieces import encoded, ffv1, ours

REFUSED, SCORED, WARNED = "refused", "scored", "warned"


@dataclass(frozen=True)
class Medium:
    """One odd thing in a folder of clips.

    Attributes:
        name: Of the file; its stem is the clip's.
        make: Makes it, given its path.
        verdict: What must become of it.
        words: In its reason, or the name of its warning.
    """

    name: str
    make: Callable[[Path], object]
    verdict: str
    words: str = ""


def holding(name: str, data: Callable[[], bytes], verdict: str, words: str = "") -> Medium:
    """A file of these bytes."""
    return Medium(name, lambda path: path.write_bytes(data()), verdict, words)


def beside(name: str, data: Callable[[], bytes], verdict: str, words: str = "") -> Medium:
    """A sound of these bytes beside a whole video without sound."""

    def make(path: Path) -> None:
        path.write_bytes(data())
        path.with_suffix(".mp4").write_bytes(encoded("mp4", "libx264"))

    return Medium(name, make, verdict, words)


WHOLE: dict[str, Callable[[], bytes]] = {
    "h264.mp4": lambda: encoded("mp4", "libx264", "aac"),
    "faststart.mp4": lambda: encoded("mp4", "libx264", "aac", options="movflags=+faststart"),
    "fragmented.mp4": lambda: encoded("mp4", "libx264", "aac", options="movflags=+frag_keyframe+empty_moov"),
    "mp3.mp4": lambda: encoded("mp4", "libx264", "libmp3lame"),
    "mpeg4.mp4": lambda: encoded("mp4", "mpeg4", "aac"),
    "exact.mp4": lambda: ours(exact=True),
    "pcm.mov": lambda: encoded("mov", "libx264", "pcm_s16le"),
    "h264.mkv": lambda: encoded("mkv", "libx264", "aac"),
    "ffv1.mkv": ffv1,
    "ours.mkv": ours,
    "vp9.webm": lambda: encoded("webm", "libvpx-vp9", "libopus", 48000),
    "vp8.webm": lambda: encoded("webm", "libvpx", "libopus", 48000),
    "mp3.avi": lambda: encoded("avi", "mpeg4", "libmp3lame"),
    "pcm.avi": lambda: encoded("avi", "mpeg4", "pcm_s16le"),
    "m4v.m4v": lambda: encoded("mp4", "libx264", "aac"),
}
SOUNDS: dict[str, Callable[[], bytes]] = {
    "s16.wav": lambda: encoded("wav", audio="pcm_s16le"),
    "flac.flac": lambda: encoded("flac", audio="flac"),
    "lame.mp3": lambda: encoded("mp3", audio="libmp3lame"),
    "bare.mp3": lambda: encoded("mp3", audio="libmp3lame", options="write_xing=0 id3v2_version=0"),
    "opus.ogg": lambda: encoded("ogg", audio="libopus", rate=48000),
    "native.opus": lambda: encoded("opus", audio="libopus", rate=48000),
    "aac.m4a": lambda: encoded("mp4", audio="aac"),
    "adts.aac": lambda: encoded("aac", audio="aac"),
}


def called(what: str, name: str) -> str:
    """A name of its own for a file: "cut 25 h264 mp4.mp4"."""
    return f"{what} {name.replace('.', ' ')}{Path(name).suffix}"
