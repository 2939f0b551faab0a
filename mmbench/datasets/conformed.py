"""Videos of any length as clips of one format: what is wrong with one, and an index of those made ready in advance.

The clips lie in the folder `prepared` of the copy, and beside them `index.jsonl`: a first line {dataset, version,
format}, then one `Entry` per video, those that cannot be used included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmbench.datasets.folder import why_unfit
from mmbench.errors import IntegrityError, MediaError
from mmbench.types import Clip, ClipFormat

VERSION = 1  # of `conformed`: raised when its pixels or samples change
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
        clip: The prepared clip, below the folder `prepared`; "" if there is none.
        notes: Of the prepared clip.
    """

    file: str
    size: int
    changed: int
    sha256: str = ""
    status: Status = "ok"
    reason: str = ""
    clip: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)


def conformed(path: Path, form: ClipFormat) -> Clip:
    """The first clip of a format in a video: size by `cover`, rates and length by `conform`, sound in 16 bits.

    Raises:
        MediaError: The video cannot be decoded to its end, is too short, or has no sound.
    """
    from mmbench.decode import record
    from mmbench.resample import conform, cover, resize_step

    recording = record(path, scale=partial(cover, height=form.height, width=form.width))
    clip = conform(recording.clip(), form)
    if len(clip.audio) != form.num_samples:
        raise MediaError(f"{path} holds no sound.", f"{form.num_samples / form.sample_rate:g} s of it")
    video = clip.notes["video"]
    source, notes = (video["height"], video["width"]), dict(clip.notes)
    if source != (form.height, form.width):
        notes["steps"] = [resize_step(form.height, form.width, source), *notes["steps"]]
    return replace(clip, audio=clip.audio_int16().astype(np.float32) / np.float32(32768), notes=notes)


def why_none(report: dict[str, Any], form: ClipFormat) -> str | None:
    """Why a probed video holds no clip of a format, however that is made of it; None if it does."""
    return why_unfit(report, form, exact=False)


def examine(root: Path, file: str, form: ClipFormat, why: Why = why_none) -> Entry:
    """Whether a video holds a clip of the format, as far as its packets and its first frame tell; `why` it does not."""
    from mmbench.sources import file_digest, probe_file

    path = root / file
    try:
        stat = path.stat()
    except OSError as error:
        return Entry(file, 0, 0, status="corrupt", reason=f"cannot be read: {error.strerror}")
    entry = Entry(file, stat.st_size, stat.st_mtime_ns)
    try:
        entry = replace(entry, sha256=file_digest(path))
        report = probe_file(path)
    except MediaError as error:
        return replace(entry, status="corrupt", reason=what_is_wrong(error, path))
    if report["video"] is None:
        return replace(entry, status="no video", reason="it has no video")
    reason = why(report, form)
    if reason:
        status: Status = "too short" if report["audio"] else "no sound"
        return replace(entry, status=status, reason=reason)
    return entry


def what_is_wrong(error: MediaError, path: Path) -> str:
    """The reason of an error about a file, without the file's name."""
    return error.found.removeprefix(f"{path} ").rstrip(".")


def examine_all(
    root: Path, files: Sequence[str], form: ClipFormat, quiet: bool = False, why: Why = why_none
) -> list[Entry]:
    """`examine` many videos, with progress; reading and hashing run in threads."""
    from mmbench.console import progress

    with progress("examine", len(files), quiet) as shown, ThreadPoolExecutor() as pool:
        entries = []
        for entry in pool.map(lambda file: examine(root, file, form, why), files):
            entries.append(entry)
            shown.advance()
    return entries


def heading(dataset: str, form: ClipFormat) -> dict[str, Any]:
    """First line of an index."""
    return {"dataset": dataset, "version": VERSION, "format": asdict(form)}


def read_index(path: Path, dataset: str, form: ClipFormat) -> list[Entry] | None:
    """Entries of an index; None if there is none. Of a process that was killed, the last line may be cut off.

    Raises:
        IntegrityError: It is of another dataset, version or format, or damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return None
    try:
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        entries = [Entry(**row) for row in rows[1:]]
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"{path} is damaged: {error}.", "an index of mmbench data prepare", f"rm {path}") from None
    if rows and rows[0] != heading(dataset, form):
        expected = json.dumps(heading(dataset, form))
        raise IntegrityError(f"{path} is of another dataset, version or format.", expected, f"rm -r {path.parent}")
    return entries
