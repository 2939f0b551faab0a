"""One pass over a media file: its packets counted and timed, its frames handed on, its end checked.

A file that ends early or is damaged is refused, never shortened: a benchmark must not score half a clip. Its length in
bytes is checked where the format says it (`mmbench.media.extent`), then its end against the declared duration where
the container has an exact one (Matroska, WebM, WAV, FLAC). A packet that gives no frame is damage, as
is a checksum of FLAC or FFV1 that does not match. What is too large is refused first (`mmbench.media.limits`).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from mmbench.errors import MediaError, MMBenchError
from mmbench.media.exact_h264 import is_exact_h264
from mmbench.media.extent import AGAIN, check_extent
from mmbench.media.ffv1_checksums import SliceChecksums
from mmbench.media.limits import Bounds
from mmbench.media.regular_files import why_irregular
from mmbench.media.tar_members import find_member

TAG = "MMBENCH"  # Matroska tag with what its millisecond clock cannot say exactly: rates, counts and the clip's digest
EXACT_CONTAINERS = {"mov", "matroska", "wav", "flac"}  # their duration is written, not guessed from the bit rate
WHOLE = "a whole media file (mp4, mov, mkv or webm; wav, flac or mp3 for sound)"
END_TOLERANCE = Fraction(5, 1000)  # rounding of declared durations [s]; below the shortest common audio packet
START_UP = 2304  # samples: two frames of MP3, more than the encoder delay of MP3, AAC or Opus
STRICT = "crccheck+explode"  # let a decoder of an exact codec drop what does not have its checksum
HIDDEN = frozenset({"vp8"})  # codecs with packets that show nothing


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
    decoded: list[Fraction] = field(default_factory=list)  # times of decoded frames [s]
    checksums: SliceChecksums = field(default_factory=SliceChecksums)

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

    @property
    def num_lost(self) -> int:
        """Packets that were decoded to nothing, from the first frame on; of lossy sound, up to the last one.

        Before the first frame lies what a codec needs to begin, and after the last what it pads with.
        """
        if not self.decoded or self.about["codec"] in HIDDEN:
            return 0
        first, last = min(self.decoded), max(self.decoded)
        if self.about["lossy"] and "sample_rate" in self.about:
            return sum(first < t < last for t in self.times) - sum(first < t < last for t in self.decoded)
        shown = [t for t in self.times if t >= first]
        return min(len(set(shown) - set(self.decoded)), len(shown) - len(self.decoded))


def _track(name: str, stream: Any) -> Track:
    context = stream.codec_context
    if context is None:
        raise MediaError(f"{name} holds {stream.type} in a codec that FFmpeg does not know.", WHOLE, AGAIN)
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
    """Turn whatever goes wrong in reading `path` into MediaError, so that one file never ends a job of many."""
    try:
        yield
    except MMBenchError:
        raise
    except MemoryError as error:
        raise MediaError(f"{path} needs more memory than there is.", "a short clip", "split the file") from error
    except OSError as error:  # FFmpeg's among them
        raise MediaError(f"{path} cannot be read: {error.strerror or error}.", WHOLE, AGAIN) from error
    except Exception as error:
        said = getattr(error, "strerror", "") or f"{type(error).__name__}: {error}"
        raise MediaError(f"{path} cannot be read as media: {said}.", WHOLE, AGAIN) from error


def ffmpeg_name(path: str | Path) -> str:
    """The name by which FFmpeg takes a path for a file, or for a part of an archive, and never for a URL.

    Raises:
        FileNotFoundError: The archive has no such member.
        MediaError: The archive cannot be read.
    """
    if (found := find_member(path)) is None:
        return f"file:{path}"
    tar, member = found
    return f"subfile,,start,{member.offset},end,{member.offset + member.size},,:file:{tar}"


@contextmanager
def open_media(path: str | Path, bounds: Bounds) -> Iterator[tuple[Any, bool]]:
    """Open a local file with FFmpeg; no URL that the file names is followed.

    Yields:
        The container, and whether the length in bytes says that all of the file is there.

    Raises:
        MediaError: It is no regular file, ends early, or cannot be read.
    """
    if why := why_irregular(path):
        raise MediaError(f"{path} {why}.", WHOLE, f"ls -l {shlex.quote(str(path))}")
    with media_errors(path):
        is_whole = check_extent(path)
        options = {"protocol_whitelist": "file,subfile", "max_pixels": f"{bounds.most['pixels']:.0f}"}
        waits = bounds.most["decoding"]
        try:
            with av.open(ffmpeg_name(path), options=options, metadata_errors="replace", timeout=waits) as container:
                yield container, is_whole
        except av.ExitError:  # reading took longer than it may
            bounds.check_clock()
            raise


@dataclass(frozen=True)
class Reading:
    """What one pass over a file shows.

    Attributes:
        tracks: By kind, "v" and "a".
        container: Name of the format.
        tag: What mmbench wrote into a clip of its own; "" in other files.
    """

    tracks: dict[str, Track]
    container: str
    tag: str


def read_packets(
    path: str | Path, kinds: str, required: str, bounds: Bounds, use: Callable[[Any, Any], None] | None = None
) -> Reading:
    """Pass over the packets of the video ("v") and audio ("a") stream, giving decoded frames to `use`.

    Args:
        path: The file.
        kinds: Streams to read where there are such: "va", "v" or "a".
        required: Those of them without which the file is refused; one of any kind is needed in any case.
        bounds: Of the file.
        use: Called as use(kind, frame) with every decoded frame in presentation order; None decodes nothing.

    Raises:
        MediaError: The file cannot be read, lacks the required stream, is damaged, ends early or is too large.
    """
    name = str(path)
    with open_media(path, bounds) as (container, is_whole):
        streams = _choose_streams(name, container, kinds, required)
        tracks = {kind: _track(name, stream) for kind, stream in streams.items()}
        for kind, stream in streams.items():
            _check_stream(stream, bounds)
            if use:
                set_up_decoder(stream, bounds, is_exact=not tracks[kind].about["lossy"])
        _pass_over(name, container, streams, tracks, bounds, use)
        for kind, track in tracks.items():
            _check_end(name, container, is_whole, streams[kind], track)
        return Reading(tracks, container.format.name, container.metadata.get(TAG, ""))


def _choose_streams(name: str, container: Any, kinds: str, required: str) -> dict[str, Any]:
    pair = dict(zip("va", moving_streams(container), strict=True))
    streams = {kind: stream for kind, stream in pair.items() if stream is not None and kind in kinds}
    if not streams or any(kind not in streams for kind in required):
        words = {"v": "video", "a": "sound"}
        held = ", ".join(f"{s.type} {getattr(s.codec_context, 'name', '')}".strip() for s in container.streams)
        missing = " and ".join(words[kind] for kind in required or kinds if kind not in streams)
        raise MediaError(f"{name} holds no {missing}, only {held or 'no streams'}.", f"a {missing} stream", AGAIN)
    return streams


def _check_stream(stream: Any, bounds: Bounds) -> None:
    """Refuse what a stream declares beyond the limits, before anything of it is decoded."""
    context = stream.codec_context
    if stream.type == "video":
        bounds.check("pixels", context.width * context.height or float("inf"))  # FFmpeg hides a size that is too large
    else:
        bounds.check("sample_rate", context.sample_rate)
    if stream.duration is not None and stream.time_base:
        bounds.check("seconds", float(stream.duration * stream.time_base))
    if stream.container.duration is not None:
        bounds.check("seconds", stream.container.duration / 1_000_000)


def set_up_decoder(stream: Any, bounds: Bounds, is_exact: bool = False) -> None:
    """Let a stream be decoded on all cores, within the limit of pixels, and if exact with its checksums compared."""
    if stream.type == "video":
        stream.thread_type = "AUTO"
    strict = {"err_detect": STRICT} if is_exact else {}
    stream.codec_context.options = {"max_pixels": f"{bounds.most['pixels']:.0f}", **strict}


def _pass_over(
    name: str,
    container: Any,
    streams: dict[str, Any],
    tracks: dict[str, Track],
    bounds: Bounds,
    use: Callable[[Any, Any], None] | None,
) -> None:
    kind_of = {stream.index: kind for kind, stream in streams.items()}
    begin: Fraction | None = None
    for packet in container.demux(list(streams.values())):
        bounds.check_clock()
        kind = kind_of[packet.stream.index]
        track = tracks[kind]
        if packet.is_corrupt:
            raise MediaError(f"{name} is cut off or damaged in its {packet.stream.type}.", WHOLE, AGAIN)
        if packet.size:
            track.add(packet)
            bounds.check("packets", track.num_packets)
            if packet.pts is not None:
                time = packet.pts * packet.time_base
                begin = time if begin is None else begin
                bounds.check("seconds", abs(float(time - begin)))
        if use is None:
            continue
        if track.about["codec"] == "ffv1" and packet.size:
            track.checksums.add(bytes(packet))
        for frame in _decode(name, packet):
            if getattr(frame, "is_corrupt", False):
                raise MediaError(f"{name} is damaged in its {packet.stream.type}.", WHOLE, AGAIN)
            if frame.pts is not None:
                track.decoded.append(frame.pts * frame.time_base)
            use(kind, frame)


def _decode(name: str, packet: Any) -> Any:
    try:
        return packet.decode()
    except av.FFmpegError as error:
        raise MediaError(f"{name} is damaged in its {packet.stream.type}: {error.strerror}.", WHOLE, AGAIN) from error


def _check_end(name: str, container: Any, is_whole: bool, stream: Any, track: Track) -> None:
    """Refuse a stream of which something was not decoded, or that stops before its container says so.

    A whole MP4 need not be measured: frames out of order and of uneven lengths end earlier than it says. In a whole
    Matroska file a last part may still hold nothing; its end counts a codec's start-up where its sound begins late.
    """
    track.times.sort()
    if not track.num_packets:
        raise MediaError(f"{name} ends before its {stream.type} begins.", WHOLE, AGAIN)
    is_measured = not is_whole or "matroska" in container.format.name
    end = _declared_end(container, stream, min(track.lengths, default=None)) if is_measured else None
    reached, tolerance = track.end, END_TOLERANCE
    if is_whole and track.about.get("sample_rate"):
        tolerance += Fraction(START_UP, track.about["sample_rate"])
    if end is not None and reached is not None and reached < end - tolerance:
        found = f"its {stream.type} stops at {float(reached):.3f} s of {float(end):.3f} s"
        raise MediaError(f"{name} ends early: {found}.", WHOLE, AGAIN)
    if track.checksums.num_damaged:
        found = f"{track.checksums.num_damaged} of {track.num_packets} pictures do not have their checksum"
        raise MediaError(f"{name} is damaged in its video: {found}.", WHOLE, AGAIN)
    if track.num_lost > 0:
        found = f"{track.num_lost} of {track.num_packets} packets cannot be decoded"
        raise MediaError(f"{name} is damaged in its {stream.type}: {found}.", WHOLE, AGAIN)
