"""One pass over a media file: its packets counted and timed, its frames handed on, its end checked.

A file that ends early or is damaged is refused, never shortened: a benchmark must not score half a clip. The end is
checked against the declared duration where the container has an exact one (MP4, MOV, Matroska, WebM, WAV, FLAC).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from mmbench.errors import MediaError
from mmbench.media.exact_h264 import is_exact_h264

EXACT_CONTAINERS = {"mov", "matroska", "wav", "flac"}  # their duration is written, not guessed from the bit rate
WHOLE = "a whole media file (mp4, mov, mkv or webm; wav, flac or mp3 for sound)"
AGAIN = "copy or encode the file again, or leave it out"
END_TOLERANCE = Fraction(5, 1000)  # rounding of declared durations [s]; below the shortest common audio packet


def _seconds(tag: str) -> Fraction:
    hours, minutes, seconds = tag.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)


@dataclass
class Track:
    """What a stream says of itself and what one pass over its packets tells; outlives the open container."""

    about: dict[str, Any]
    rates: tuple[Fraction | None, ...]
    num_packets: int = 0
    times: list[Fraction] = field(default_factory=list)
    lengths: dict[Fraction, Fraction] = field(default_factory=dict)  # of all packets by time [s]; 0 where unknown

    def add(self, packet: Any) -> None:
        self.num_packets += 1
        if packet.pts is None:
            return
        time = packet.pts * packet.time_base
        self.lengths[time] = (packet.duration or 0) * packet.time_base
        if not packet.is_discard:  # decoded for the sake of others, never shown
            self.times.append(time)

    @property
    def end(self) -> Fraction | None:
        """Where the last packet ends [s]; one of unknown length counts as the longest. None if none is known."""
        if not self.lengths:
            return None
        last = max(self.lengths)
        steps = [b - a for a, b in pairwise(sorted(self.lengths))]
        length = self.lengths[last] or max(self.lengths.values()) or max(steps, default=Fraction(0))
        return last + length if length else None


def _track(stream: Any) -> Track:
    context = stream.codec_context
    exact = context.codec.canonical_name == "h264" and is_exact_h264(context.extradata or b"")
    about = {"codec": context.codec.canonical_name, "lossy": bool(context.codec.lossy) and not exact}
    if stream.type == "video":
        return Track(about, (stream.average_rate, stream.guessed_rate, stream.base_rate))
    return Track({**about, "sample_rate": context.sample_rate, "channels": context.layout.nb_channels}, ())


def _declared_end(container: Any, stream: Any, first: Fraction | None) -> Fraction | None:
    """End time [s] of a stream that the container promises; None where it promises none."""
    if EXACT_CONTAINERS.isdisjoint(container.format.name.split(",")):
        return None
    if "DURATION" in stream.metadata:  # Matroska counts a codec's start-up, which has negative time here
        return _seconds(stream.metadata["DURATION"]) + min(first or Fraction(0), Fraction(0))
    if stream.duration is not None:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    if container.duration is not None and len(container.streams) == 1:
        return Fraction(container.duration, 1_000_000)
    return None


def moving_streams(container: Any) -> tuple[Any, Any]:
    """First moving video stream and first audio stream, or None each (cover art and still pictures do not count)."""
    still = container.format.name.endswith("_pipe") or container.format.name in ("image2", "tty", "gif", "apng")
    covers = av.stream.Disposition.attached_pic
    videos = [s for s in container.streams.video if not still and not s.disposition & covers]
    return next(iter(videos), None), next(iter(container.streams.audio), None)


@contextmanager
def media_errors(path: str | Path) -> Iterator[None]:
    """Turn a decoder's errors about `path` into MediaError."""
    try:
        yield
    except av.FFmpegError as error:
        raise MediaError(f"{path} cannot be read as media: {error.strerror}.", WHOLE, AGAIN) from error


def read_packets(
    path: str | Path, kinds: str, required: str, use: Callable[[Any, Any], None] | None = None
) -> tuple[dict[str, Track], str]:
    """Pass over the packets of the video ("v") and audio ("a") stream, giving decoded frames to `use`.

    Args:
        path: The file.
        kinds: Streams to read where there are such: "va", "v" or "a".
        required: Those of them without which the file is refused; one of any kind is needed in any case.
        use: Called as use(kind, frame) with every decoded frame in presentation order; None decodes nothing.

    Returns:
        The tracks by kind, and the name of the container.

    Raises:
        MediaError: The file cannot be read, lacks the required stream, is damaged or ends early.
    """
    name, names = str(path), {"v": "video", "a": "sound"}
    if not Path(path).is_file():
        raise MediaError(f"{name} is not a file." if Path(path).exists() else f"{name} does not exist.", WHOLE)
    if not Path(path).stat().st_size:
        raise MediaError(f"{name} is empty (0 bytes).", WHOLE, AGAIN)
    with media_errors(path), av.open(name) as container:
        pair = dict(zip("va", moving_streams(container), strict=True))
        streams = {kind: stream for kind, stream in pair.items() if stream is not None and kind in kinds}
        tracks = {kind: _track(stream) for kind, stream in streams.items()}
        if not streams or any(kind not in streams for kind in required):
            held = ", ".join(f"{s.type} {getattr(s.codec_context, 'name', '')}" for s in container.streams)
            missing = " and ".join(names[kind] for kind in required or kinds if kind not in streams)
            raise MediaError(f"{name} holds no {missing}, only {held or 'no streams'}.", f"a {missing} stream", AGAIN)
        if "v" in streams and use:
            streams["v"].thread_type = "AUTO"
        kind_of = {stream.index: kind for kind, stream in streams.items()}
        for packet in container.demux(list(streams.values())):
            kind = kind_of[packet.stream.index]
            track = tracks[kind]
            if packet.is_corrupt:
                raise MediaError(f"{name} is cut off or damaged in its {packet.stream.type}.", WHOLE, AGAIN)
            if packet.size:
                track.add(packet)
            if use is None:
                continue
            for frame in packet.decode():
                if getattr(frame, "is_corrupt", False):
                    raise MediaError(f"{name} is damaged in its {packet.stream.type}.", WHOLE, AGAIN)
                use(kind, frame)
        for kind, track in tracks.items():
            end = _declared_end(container, streams[kind], min(track.lengths, default=None))
            track.times.sort()
            reached = track.end
            if not track.num_packets:
                raise MediaError(f"{name} ends before its {streams[kind].type} begins.", WHOLE, AGAIN)
            if end is not None and reached is not None and reached < end - END_TOLERANCE:
                found = f"its {streams[kind].type} stops at {float(reached):.3f} s of {float(end):.3f} s"
                raise MediaError(f"{name} ends early: {found}.", WHOLE, AGAIN)
        return tracks, container.format.name
