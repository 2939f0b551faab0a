"""Texts of a user's videos: prompts in a folder of clips, captions of a dataset's copy."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from pathlib import Path, PurePosixPath

from mmbench.datasets.copies.text_files import read_csv, read_text
from mmbench.errors import MediaError, UsageError
from mmbench.media.regular_files import why_irregular
from mmbench.media.sources import VIDEO_SUFFIXES, clip_name, find_tars
from mmbench.media.tar_members import members


def read_prompts(folder: Path, table: Path | None = None) -> dict[str, str]:
    """Prompts by file name from the folder's only CSV file, or from texts beside the clips in tar archives.

    Args:
        folder: Of clips, or of tar archives; or one archive.
        table: A CSV file elsewhere, that may name files of other folders, too; texts in archives are then not read.

    Raises:
        UsageError: Several tables, wrong columns, a file named twice, or files that are not there; a table beside
            archives that hold texts.
    """
    if table is not None and (why := why_irregular(table)):
        raise UsageError(f"{table} {why}.", "a CSV file with columns file,prompt", f"ls {table.parent}")
    tables = sorted(folder.glob("*.csv")) if table is None else [table]
    if len(tables) > 1:
        raise UsageError(f"{folder} holds {len(tables)} tables: {', '.join(t.name for t in tables)}.", "one CSV file")
    inside = _list_videos(folder)
    if table is None and (texts := [path for path in inside.values() if path is not None]):
        if tables:
            found = f"{tables[0]} and {texts[0]} hold prompts."
            raise UsageError(found, "one of them", f"--prompts {shlex.quote(str(tables[0]))}")
        expected = "the prompt of a clip, as WebDataset has it"
        return {name: read_text(path, expected).strip() if path else "" for name, path in inside.items()}
    if not tables:
        return {}
    columns, rows = read_csv(tables[0])
    if not {"file", "prompt"} <= set(columns):
        raise UsageError(f"{tables[0]} has the columns {columns}.", "file,prompt", "add a first line: file,prompt")
    pairs = [(row.get("file", ""), row.get("prompt", "").strip()) for row in rows]
    names = Counter(name for name, _ in pairs)
    twice = [name for name in names if names[name] > 1]
    missing = [name for name in names if name not in inside and not (folder / name).is_file()]
    if table is not None and len(missing) < len(names):
        pairs, missing = [pair for pair in pairs if pair[0] not in missing], []
    if twice:
        raise UsageError(f"{tables[0]} names {twice[0]} {names[twice[0]]} times.", "each file once")
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(f"{tables[0]} names {missing[0]}{more}, not in {folder}.", "files beside the table")
    return dict(pairs)


def _list_videos(path: Path) -> dict[str, Path | None]:
    """The text beside each video in the tar archives of a folder, by the video's name; None for one without."""
    found: dict[str, Path | None] = {}
    for tar in find_tars(path):
        try:
            names = members(tar)
        except MediaError:  # it is told where the clips are listed
            continue
        for name in names:
            if (file := tar / name).suffix.lower() in VIDEO_SUFFIXES:
                text = PurePosixPath(name).with_name(f"{clip_name(file)}.txt").as_posix()
                found[file.name] = tar / text if text in names else None
    return found


CAPTIONS = "captions.csv"


def read_captions(root: Path) -> dict[str, str]:
    """Captions by path below the root; none without a table.

    Raises:
        UsageError: It has other columns than file and caption.
    """
    table = root / CAPTIONS
    if not os.path.lexists(table):
        return {}
    columns, rows = read_csv(table)
    if not {"file", "caption"} <= set(columns):
        found = f"{table} has the columns {columns}."
        raise UsageError(found, "file,caption", "add a first line: file,caption")
    return {row.get("file", ""): row.get("caption", "").strip() for row in rows}
