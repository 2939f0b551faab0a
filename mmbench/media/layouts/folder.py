"""An export on disk: whole files under their names, a record beside them, and what an interruption left taken up.

FOLDER/mmbench_export.json   layout, codecs, where the clips come from, each clip's files, prompt and digest, and the
                             clips that are left out, each with the reason
FOLDER/.partial/             what is being written; gone when the export is whole
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmbench.errors import IncompleteError, MediaError, MMBenchError, UsageError
from mmbench.files import read_json, write_whole
from mmbench.media.layouts.layout import Place, Plan
from mmbench.types import Clip, ClipSource

EXPORT = "mmbench_export.json"
PARTIAL = ".partial"
LEFT_OUT = "left_out"  # of the record: index, prompt_id, digest of clips that could not be read, each with the reason
EXACT = "MP4 with H.264 of RGB without loss and ALAC; WAV of 16 bits"
LOSSY = "MP4 with H.264 4:2:0 (crf 18) and AAC (128 kbit/s), both lossy, odd sizes one pixel larger; WAV of 16 bits"


def read_export(folder: Path) -> dict[str, Any] | None:
    """The record of an export; None where the folder is none."""
    return dict(read_json(folder / EXPORT)) if (folder / EXPORT).is_file() else None


@dataclass(frozen=True)
class Content:
    """What tells a clip from another: a digest, and for a stored sample those of its halves ("" for no sound)."""

    digest: str
    halves: tuple[str, str] | None = None


def begin_export(folder: Path, record: Mapping[str, Any], plan: Plan, contents: Sequence[Content]) -> None:
    """Write the record of an export, or find that the folder holds a beginning of the same one.

    Args:
        folder: Of the export; made if absent.
        record: layout, lossy, origin, command and what is left out, for whoever meets the folder.
        plan: What is to be written.
        contents: Of the pieces.

    Raises:
        UsageError: It holds something else, which is not touched.
        MMBenchError: It cannot be written.
    """
    whole = _make_record(record, plan, contents)
    before = read_export(folder)
    if before is None and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty, and no export.", "a folder of its own", "--out ANOTHER_FOLDER")
    if before is not None and not _continues(before, whole):
        found = f"{folder} is another export: {before['layout']}, {before['origin']}, {before['codecs']}."
        raise UsageError(found, "a folder of its own", "--out ANOTHER_FOLDER")
    _write_record(folder, whole, plan)


def revise_export(folder: Path, record: Mapping[str, Any], plan: Plan, contents: Sequence[Content]) -> None:
    """Write the record of an export anew, without clips that could not be read; what has another name now goes.

    Arguments and errors as of `begin_export`, which was called before.
    """
    whole = _make_record(record, plan, contents)
    places = {(s["video"], s["sound"], s["digest"]) for s in whole["samples"]}
    try:
        for s in (read_export(folder) or {"samples": []})["samples"]:
            if (s["video"], s["sound"], s["digest"]) not in places:
                for file in filter(None, (s["video"], s["sound"])):
                    (folder / file).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    _write_record(folder, whole, plan)


def _make_record(record: Mapping[str, Any], plan: Plan, contents: Sequence[Content]) -> dict[str, Any]:
    samples = [
        {
            **{"video": place.video, "sound": place.sound, "index": place.piece.index, "prompt_id": place.piece.id},
            **{"prompt": place.piece.text, "digest": content.digest},
            "content": None if record["lossy"] else content.halves,
        }
        for place, content in zip(plan.places, contents, strict=True)
    ]
    about = {"codecs": LOSSY if record["lossy"] else EXACT, "notes": list(plan.notes), "tables": list(plan.tables)}
    return {**record, **about, "samples": samples}


def _write_record(folder: Path, record: Mapping[str, Any], plan: Plan) -> None:
    """Make the folders of an export, and write its record."""
    try:
        for name in {"", *(str(Path(path).parent) for path in _files(plan))}:
            (folder / name).mkdir(parents=True, exist_ok=True)
        write_whole(folder / EXPORT, json.dumps(record, indent=1, ensure_ascii=False).encode())
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> MMBenchError:
    return MMBenchError(f"Cannot write to {folder}: {error.strerror}.", "a folder you may write", "--out")


def _continues(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether every file that the folder has, or was to get, would hold the same clip again."""
    files = {(s["video"], s["sound"], s["digest"]) for s in now["samples"]}
    same = all((s["video"], s["sound"], s["digest"]) in files for s in before["samples"])
    return same and (before["layout"], before["lossy"]) == (now["layout"], now["lossy"])


def _files(plan: Plan) -> Iterator[str]:
    for place in plan.places:
        yield from filter(None, (place.video, place.sound))
    yield from plan.tables


def write_clips(
    folder: Path, plan: Plan, sources: Sequence[ClipSource], lossy: bool, done: Callable[[], None]
) -> tuple[int, dict[int, str]]:
    """Write the clips that are not there yet, then the prompts, which tell a whole export from a part.

    If any cannot be read, there are no prompts: the export is to be planned anew, without it, and revised.

    Args:
        folder: Begun by `begin_export`.
        plan: What goes where.
        sources: Of the clips, one per place.
        lossy: Whether the MP4s are small ones that everything plays.
        done: Called after each clip.

    Returns:
        How many clips were written now, and why others cannot be read, by position.

    Raises:
        IncompleteError: The disk is full, or the folder may not be written.
    """
    try:
        return _write_missing(folder, plan, sources, lossy, done)
    except OSError as error:
        found = f"Cannot write to {folder}: {error.strerror}."
        raise IncompleteError(found, "free space, and permission", "free some, then the same command again") from error


def _write_missing(
    folder: Path, plan: Plan, sources: Sequence[ClipSource], lossy: bool, done: Callable[[], None]
) -> tuple[int, dict[int, str]]:
    written, unreadable = 0, {}
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
    (folder / PARTIAL).mkdir()
    for k, (place, source) in enumerate(zip(plan.places, sources, strict=True)):
        if not all((folder / file).is_file() for file in filter(None, (place.video, place.sound))):
            try:
                clip = source.load()
            except MediaError as error:
                unreadable[k] = error.found
            else:
                _write_clip(folder, place, clip, lossy)
                written += 1
        done()
    for path, content in () if unreadable else plan.tables.items():
        write_whole(folder / path, content)
    (folder / PARTIAL).rmdir()
    return written, unreadable


def _write_clip(folder: Path, place: Place, clip: Clip, lossy: bool) -> None:
    """The files of one clip, the video last; names may be as long as the disk allows, so none is written beside."""
    from mmbench.media.clip_files import write_exact, write_preview, write_wav

    for path, write in ((place.sound, write_wav), (place.video, write_preview if lossy else write_exact)):
        if path:
            begun = folder / PARTIAL / f"clip{Path(path).suffix}"
            write_whole(begun, partial(write, clip))
            os.replace(begun, folder / path)
