"""Anybody's samples as clip sources: a folder or tar archive of clips, video/audio pairs, one long video to be cut.

Sources are small and picklable; decoding happens where `load` is called. A long video is decoded once per process and
kept until another one is asked for.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn

from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.identity import digest_bytes
from mmbench.media.regular_files import file_version, is_there, is_utf8, open_regular, printable, why_irregular
from mmbench.media.tar_members import is_called_tar, is_tar, members, tar_of
from mmbench.types import Clip

if TYPE_CHECKING:
    from mmbench.media.decode import Recording

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus"})
NOT_UTF8 = "its name is not in UTF-8, so no record can hold it; rename it"


@dataclass(frozen=True)
class Rejected:
    """A media file that cannot be used, and why."""

    path: str
    reason: str


def _state(path: str) -> tuple[str, int, int]:
    """What tells one version of a file from the next: path, size [bytes], time of change [ns]."""
    if why := why_irregular(path):
        raise MediaError(f"{path} {why}.", "a media file", f"ls -l {shlex.quote(path)}")
    return path, *file_version(path)


@lru_cache(maxsize=65536)
def _sha256(path: str, size: int, changed: int) -> str:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        found = f"{path} cannot be read: {error.strerror}."
        raise MediaError(found, "a file that you may read", f"ls -l {shlex.quote(path)}") from error


@lru_cache(maxsize=65536)
def _probed(path: str, size: int, changed: int) -> dict[str, Any]:
    from mmbench.media.decode import probe

    return probe(path)


_recording_lock = Lock()  # lru_cache computes in as many threads as ask, and a long video fills much memory


@lru_cache(maxsize=1)
def _recording(path: str, size: int, changed: int) -> Recording:
    from mmbench.media.decode import record

    return record(path)


def file_digest(path: str | Path) -> str:
    """sha256 of a file's bytes, read once per version of the file."""
    return _sha256(*_state(str(path)))


def probe_file(path: str | Path) -> dict[str, Any]:
    """`decode.probe`, once per version of the file."""
    return _probed(*_state(str(path)))


@dataclass(frozen=True)
class FileSource:
    """A clip in a file of its own, or with its sound in a second file."""

    id: str
    path: str
    audio_path: str | None = None

    def load(self) -> Clip:
        """Decode the clip, with a lossy codec's padding cut off; raises MediaError when it cannot be had."""
        from mmbench.media.decode import decode
        from mmbench.media.padding import fit_sound

        before = self._states
        clip = fit_sound(decode(self.path, self.audio_path))
        if self._states != before:
            raise MediaError(f"{self.path} was written to while it was read.", "a file that is finished", "try again")
        return clip

    @property
    def _states(self) -> list[tuple[str, int, int]]:
        return [_state(file) for file in (self.path, self.audio_path) if file]

    @property
    def digest(self) -> str:
        """Digest of the bytes of the file or pair."""
        files = [file for file in (self.path, self.audio_path) if file]
        return digest_bytes(*(file_digest(file).encode() for file in files))


@dataclass(frozen=True)
class CutSource:
    """Frames first .. first + num_frames - 1 of a long video, with the sound that its time stamps put there.

    The sound is the samples whose time lies in [t, t + num_frames / fps), t the time stamp of the first frame. In one
    continuous recording that is the obvious cut. In a file joined from encoded clips the time stamps jump at each
    joint by what the parts' encoder delay and padding differ, so every part keeps its own synchrony, which counting
    samples from the beginning of the file would lose.
    """

    id: str
    path: str
    first: int
    num_frames: int

    def load(self) -> Clip:
        """Cut the clip out of the decoded file; raises MediaError when it cannot be had."""
        state = _state(self.path)
        with _recording_lock:
            recording = _recording(*state)
        clip = recording.clip(self.first, self.num_frames)
        if len(clip.video) < self.num_frames:
            raise MediaError(
                f"{self.path} ends {self.num_frames - len(clip.video)} frames before clip {self.id} does.",
                f"frames {self.first} to {self.first + self.num_frames - 1}",
            )
        return clip

    @property
    def digest(self) -> str:
        """Digest of the file's bytes and of where the cut lies."""
        return digest_bytes(file_digest(self.path).encode(), f"{self.first} {self.num_frames}".encode())


Source = FileSource | CutSource


def submission_digest(sources: Sequence[Source]) -> str:
    """Digest of a list of sources: their ids and contents, in order."""
    return digest_bytes(*(f"{source.id} {source.digest}".encode(errors="surrogatepass") for source in sources))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which clip2 comes before clip10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def submission(
    path: str | Path, clip_frames: int | None = None, clip_stride: int | None = None
) -> tuple[list[Source], list[Rejected]]:
    """List the clips of a folder, of a tar archive, of one long video, or of one file.

    Args:
        path: Folder of videos with sound, or of video/audio pairs of one stem (the sound of a pair is used even if the
            video has some); or one video. What is no media by its suffix, or hidden, is ignored; what is called like
            media and is no regular file, such as a folder, a FIFO or a link to nothing, cannot be used. Tar archives
            in the folder count as their members; those of one name up to its first dot belong together, as WebDataset
            has it. One archive is listed like a folder that holds it alone; one of its videos, by a path that leads
            into it, like a file. What is called like an archive and cannot be looked into, such as a compressed one,
            a folder, a FIFO or a link to nothing, cannot be used.
        clip_frames: Cut one long video into clips of this many frames.
        clip_stride: Frames from the start of one clip to that of the next; `clip_frames` unless given.

    Returns:
        The sources in natural order of their names, and the media files (or ends of them) that cannot be used.

    Raises:
        UsageError: Impossible or contradictory arguments.
        MMBenchError: Nothing there, or nothing usable.
    """
    path = Path(path)
    if not is_utf8(path):
        words = f"The name {printable(path)} is not in UTF-8."
        raise UsageError(words, "a name that records can hold", "mv it to another name, or make a link to it")
    if clip_stride is not None and clip_frames is None:
        raise UsageError("A clip stride without a clip length.", "both", "add --clip-frames 16")
    for name, value in (("length", clip_frames), ("stride", clip_stride)):
        if value is not None and value < 1:
            raise UsageError(f"A clip {name} of {value} frames.", "at least 1")
    if not is_there(path) and not path.is_symlink():
        _refuse_absent(path)
    if not holds_clips(path):
        _require_regular(path)
    if clip_frames is not None and not holds_clips(path):
        found = _cut(path, clip_frames, clip_stride or clip_frames)
    elif clip_frames is not None:
        found_words = f"{path} is {'a folder' if path.is_dir() else 'an archive'}, but clips are cut out of one video."
        one = path / "VIDEO.mp4"
        command = f"mmbench evaluate {shlex.quote(str(one))} --clip-frames {clip_frames}"
        raise UsageError(found_words, "one video with --clip-frames", command)
    else:
        files, damaged = _open_tars(_entries(path) if path.is_dir() else [path])
        found = _listed(files)
        found[1].extend(damaged)
    if not found[0]:
        reasons = "".join(f"\n  {r.path}: {r.reason}" for r in found[1][:5])
        kinds = " ".join(sorted(VIDEO_SUFFIXES))
        raise MMBenchError(f"{path} holds no usable clip.{reasons}", f"videos ({kinds}), with sound", f"ls {path}")
    return found


def holds_clips(path: Path) -> bool:
    """Whether a path is a folder or a tar archive, and no video."""
    return path.is_dir() or is_tar(path)


def find_tars(path: Path) -> list[Path]:
    """The tar archives in a folder, or the one that a path is."""
    return list(filter(is_tar, _entries(path) if path.is_dir() else [path]))


def _open_tars(entries: Sequence[Path]) -> tuple[list[Path], list[Rejected]]:
    """Files as they are, in the place of archives their members; none that is hidden. And archives that are none."""
    files, damaged = [p for p in entries if not is_called_tar(p)], []
    for tar in sorted(filter(is_called_tar, entries)):
        try:
            files += [path for name in members(tar) if not (path := tar / name).name.startswith(".")]
        except MediaError as error:
            damaged.append(Rejected(printable(tar), why_irregular(tar) or error.found))
    return files, damaged


def clip_name(file: Path) -> str:
    """What tells a clip from others by its name: without the ending; in archives, up to the first dot."""
    return file.stem if tar_of(file) is None else file.name.partition(".")[0]


def _entries(folder: Path) -> list[Path]:
    """What is in a folder and not hidden."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        found = f"{folder} cannot be listed: {error.strerror}."
        raise MMBenchError(found, "a folder that you may read", f"ls -ld {shlex.quote(str(folder))}") from error


def _refuse_absent(path: Path) -> NoReturn:
    """Raise MMBenchError for a path that is not there, with those that are there and called nearly so."""
    if tar := tar_of(path):
        folder, there, command = tar, list(members(tar)), f"tar -tf {shlex.quote(str(tar))}"
    else:
        folder, command = path.parent, f"ls {path.parent}"
        there = [other.name for other in folder.iterdir()] if folder.is_dir() else []
    near = [str(folder / name) for name in get_close_matches(path.relative_to(folder).as_posix(), there)]
    expected = f"did you mean {' or '.join(near)}?" if near else "a folder of clips, or a video"
    raise MMBenchError(f"{path} does not exist.", expected, command)


def _require_regular(path: Path) -> None:
    if why := why_irregular(path):
        raise MMBenchError(f"{path} {why}.", "a folder of clips, or a video", f"ls -l {shlex.quote(str(path))}")


def _cut(path: Path, clip_frames: int, clip_stride: int) -> tuple[list[Source], list[Rejected]]:
    report = _probe(path)
    if isinstance(report, Rejected):
        return [], [report]
    frames = report["video"]["frames"]
    count = max(0, (frames - clip_frames) // clip_stride + 1)
    sources: list[Source] = [
        CutSource(f"{clip_name(path)}-{k:04d}", str(path), k * clip_stride, clip_frames) for k in range(count)
    ]
    rest = frames - count * clip_stride
    if rest > 0:
        return sources, [Rejected(str(path), f"its last {rest} frames are no whole clip of {clip_frames}")]
    return sources, []


def _listed(files: Sequence[Path]) -> tuple[list[Source], list[Rejected]]:
    """One source per video file; a name shared by several videos or sounds of one folder, or by two, is ambiguous."""
    videos: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    sounds: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    media = [f for f in files if f.suffix.lower() in VIDEO_SUFFIXES | AUDIO_SUFFIXES]
    rejected = [Rejected(printable(f), NOT_UTF8) for f in sorted(media) if not is_utf8(f.name)]
    for file in sorted((f for f in media if is_utf8(f.name)), key=lambda f: natural_key(f.name)):
        kind = videos if file.suffix.lower() in VIDEO_SUFFIXES else sounds
        kind[file.parent, clip_name(file)].append(file)
    sources: list[Source] = []
    lone = [f for s in sounds if s not in videos for f in sounds[s]]
    rejected += [Rejected(str(f), why_irregular(f) or "sound without a video of the same name") for f in lone]
    places: dict[str, list[Path]] = defaultdict(list)
    for parent, name in videos:
        places[name].append(parent)
    for parent, name in sorted(videos, key=lambda place: natural_key(place[1])):
        sound, video = sounds.get((parent, name), []), videos[parent, name]
        if len(video) > 1 or len(sound) > 1:
            names = ", ".join(f.name for f in (*video, *sound))
            rejected += [Rejected(str(f), f"which belongs to which? {names}") for f in video]
            continue
        if len(places[name]) > 1:
            other = next(place for place in places[name] if place != parent)
            rejected.append(Rejected(str(video[0]), f"which is {name}? there is one in {other}, too"))
            continue
        bad = next((r for f in (video[0], *sound) if isinstance(r := _probe(f), Rejected)), None)
        if bad:
            rejected.append(bad)
        else:
            sources.append(FileSource(name, str(video[0]), str(sound[0]) if sound else None))
    return sources, rejected


def _probe(file: Path) -> dict[str, Any] | Rejected:
    try:
        report = probe_file(str(file))
    except MediaError as error:
        return Rejected(str(file), error.found)
    kind = "audio" if file.suffix.lower() in AUDIO_SUFFIXES else "video"
    return report if report[kind] else Rejected(str(file), f"{file} holds no {kind}.")
