"""Conforms videos of any length to clips of one format, says what is wrong with one, and indexes those made ready.

What is made of them lies in the folder `prepared` of the copy, and beside it `index.jsonl`: a first line {dataset,
version, format}, then one `Entry` per video, those that cannot be used included.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmbench.datasets.copies.fit import why_unfit
from mmbench.errors import IntegrityError, MediaError
from mmbench.files import read_lines
from mmbench.media.regular_files import file_version, is_utf8, printable, why_irregular
from mmbench.media.tar_members import is_called_tar, members
from mmbench.types import Clip, ClipFormat

PREPARED, INDEX = "prepared", "index.jsonl"
Why = Callable[[dict[str, Any], ClipFormat], str | None]
Status = Literal["ok", "corrupt", "too short", "no sound", "no video"]


@dataclass(frozen=True)
class Entry:
    """One video of somebody's copy.

    Attributes:
        file: Path below the root of the copy.
        size: Bytes.
        changed: Time of the last change [ns]; with `size` it tells one version of the file from the next.
        sha256: Of the file; "" if it cannot be read.
        status: Whether it can be used.
        reason: Why not.
        clip: What was made of it, below the dataset's folder of prepared ones; "" if nothing was.
        notes: What its reader has to know of that.
    """

    file: str
    size: int
    changed: int
    sha256: str = ""
    status: Status = "ok"
    reason: str = ""
    clip: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    def is_of(self, path: Path) -> bool:
        """Whether the file that lies there now is, by size and time, the one that was examined."""
        try:
            return (self.size, self.changed) == file_version(path)
        except (OSError, MediaError):
            return False


def conformed(path: Path, form: ClipFormat) -> Clip:
    """The first clip of a format in a video: size by `cover`, rates and length by `conform`, sound in 16 bits.

    Raises:
        MediaError: The video cannot be decoded to its end, is too short, or has no sound.
    """
    from mmbench.media.decode import record
    from mmbench.media.resample import conform, cover, resize_step

    recording = record(path, scale=partial(cover, height=form.height, width=form.width))
    clip = conform(recording.clip(), form)
    if len(clip.audio) != form.num_samples:
        raise MediaError(f"{path} holds no sound.", f"{form.num_samples / form.sample_rate:g} s of it")
    video = clip.notes["video"]
    source, notes = (video["height"], video["width"]), dict(clip.notes)
    if source != (form.height, form.width):
        notes["steps"] = [resize_step(form.height, form.width, source), *notes["steps"]]
    return replace(clip, audio=clip.audio_int16().astype(np.float32) / np.float32(32768), notes=notes)


def lossless(path: Path, form: ClipFormat) -> tuple[bytes, Mapping[str, Any]]:
    """The clip of `conformed` as a file, and its notes."""
    from mmbench.media.clip_files import write_lossless

    made, data = conformed(path, form), BytesIO()
    write_lossless(made, data)
    return data.getvalue(), made.notes


def why_none(report: dict[str, Any], form: ClipFormat) -> str | None:
    """The reason why a probed video holds no clip of a format, however that is made of it; None if it does."""
    return why_unfit(report, form, exact=False)


def examine_video(root: Path, file: str, form: ClipFormat, why: Why = why_none) -> Entry:
    """Examines a video for a clip of the format, as far as its packets and its first frame tell.

    Args:
        root: Of the copy.
        file: Path below it.
        form: The format.
        why: Gives the reason why a probed video cannot be used; None if it can.
    """
    from mmbench.media.sources import NOT_UTF8, file_digest, probe_file

    path = root / file
    if not is_utf8(file):
        return Entry(printable(file), 0, 0, status="corrupt", reason=NOT_UTF8)
    if irregular := why_irregular(path):
        return Entry(file, 0, 0, status="corrupt", reason=irregular)
    entry = Entry(file, *file_version(path))
    try:
        if is_called_tar(path):  # one that cannot be read: of others the members are examined
            members(path)
        entry = replace(entry, sha256=file_digest(path))
        report = probe_file(path)
    except MediaError as error:
        return replace(entry, status="corrupt", reason=reason_of(error, path))
    if report["video"] is None:
        return replace(entry, status="no video", reason="it has no video")
    reason = why(report, form)
    if reason:
        status: Status = "too short" if report["audio"] else "no sound"
        return replace(entry, status=status, reason=reason)
    return entry


def reason_of(error: MediaError, path: Path) -> str:
    """The reason of an error about a file, without the file's name."""
    return error.found.removeprefix(f"{path} ").rstrip(".")


def examine_videos(
    root: Path, files: Sequence[str], form: ClipFormat, quiet: bool = False, why: Why = why_none
) -> list[Entry]:
    """Examines many videos with `examine_video`, with progress; reading and hashing run in threads."""
    from mmbench.progress import progress

    with progress("examine", len(files), quiet) as shown, ThreadPoolExecutor() as pool:
        entries = []
        for entry in pool.map(lambda file: examine_video(root, file, form, why), files):
            entries.append(entry)
            shown.advance()
    return entries


@dataclass(frozen=True)
class Preparation:
    """The way in which the videos of a dataset are made ready once, and where: all that `mmbench data` needs.

    Attributes:
        dataset: Its name.
        format: Of its clips.
        make: From a usable video, the file to keep of it, and notes on that for its reader, JSON-able. It raises
            MediaError if the video is damaged further in, and goes to other processes.
        version: Of what `make` makes; raised by hand when that changes.
        why: Why a probed video, which has pictures, cannot be used; None if it can.
        folder: For what is made, below the root of the copy.
        clip: Path below `folder` of what is made of a video, by the video's key.
        typed: The dataset as it is typed in a command where that is more than its name.
    """

    dataset: str
    format: ClipFormat
    make: Callable[[Path], tuple[bytes, Mapping[str, Any]]]
    version: int
    why: Why = why_none
    folder: str = PREPARED
    clip: str = "clips/{key}.mkv"
    typed: str = ""

    def command(self, verb: str, root: Path) -> str:
        """The command `mmbench data VERB` for a copy."""
        return f"mmbench data {verb} {shlex.quote(self.typed or self.dataset)} --root {root}"

    @property
    def heading(self) -> dict[str, Any]:
        """First line of the index."""
        return {"dataset": self.dataset, "version": self.version, "format": asdict(self.format)}

    def entries(self, root: Path) -> list[Entry] | None:
        """The entries in the index of a copy; None without one (see `read_index`)."""
        return read_index(root / self.folder / INDEX, self.heading)


def read_index(path: Path, heading: dict[str, Any]) -> list[Entry] | None:
    """Entries of an index; None if there is none. Of a process that was killed, the last line may be cut off.

    Raises:
        IntegrityError: It is of another dataset, version or format, or damaged.
    """
    if not path.exists():
        return None
    try:
        rows = read_lines(path)
        entries = [Entry(**row) for row in rows[1:]]
    except (IntegrityError, ValueError, TypeError) as error:
        reason = error.found if isinstance(error, IntegrityError) else f"{path} is damaged: {error}."
        again = f"rm {shlex.quote(str(path))}"
        raise IntegrityError(reason, "an index of mmbench data prepare", again) from None
    if rows and rows[0] != heading:
        found = f"{path} is of another dataset, version or format."
        raise IntegrityError(found, json.dumps(heading), f"rm -r {path.parent}")
    return entries
