"""The videos of a copy, and which of them have a clip: from the index of prepared ones, else by looking at each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mmbench.console import log
from mmbench.datasets.copies.conformed import PREPARED, Entry, Preparation, examine_videos
from mmbench.errors import MediaError
from mmbench.media.regular_files import is_there, printable
from mmbench.media.tar_members import is_called_tar, members

NAMED = 3  # videos of several that a warning names


def find_videos(root: Path, key_of: Callable[[str], str]) -> dict[str, str]:
    """Finds the videos of a copy at any depth: path below the root by key, the first by path where keys repeat.

    A tar archive is looked into as if it were a folder. What is called like one and cannot be looked into is found,
    too, by its path as its key. Warns of videos that are left out because another has their key.

    Args:
        root: Of the copy; its folder of prepared clips is left out.
        key_of: Gives the key of a file by its path below the root; "" if it is no video of the dataset. A folder, FIFO
            or link of such a name is found, too, so that it is named as what it is.
    """
    found, seen = [], {os.path.realpath(root)}
    for folder, folders, names in os.walk(root, followlinks=True):
        names += [name for name in folders if key_of(Path(folder, name).relative_to(root).as_posix())]
        places = {name: os.path.realpath(Path(folder, name)) for name in folders if name != PREPARED}
        folders[:] = [name for name, place in places.items() if place not in seen]  # links may lead in a circle
        seen.update(places.values())
        found += [Path(folder, name).relative_to(root).as_posix() for name in names]
    videos: dict[str, str] = {}
    for place in list(filter(is_called_tar, found)):
        try:
            found += [f"{place}/{name}" for name in members(root / place)]
        except MediaError:
            videos[place] = place
    left_out = [p for p in sorted(filter(key_of, found)) if videos.setdefault(key_of(p), p) != p]
    if left_out:
        named = ", ".join(printable(f"{path} (beside {videos[key_of(path)]})") for path in left_out[:NAMED])
        more = ", ..." if len(left_out) > NAMED else ""
        log.warning("%s: %d not used, for another has the same name: %s%s", root, len(left_out), named, more)
    return videos


def current_entries(root: Path, files: Sequence[str], preparation: Preparation) -> list[Entry]:
    """The entries of a copy's videos: of unchanged and of absent ones from the index, of others by examining them.

    Args:
        root: Of the copy.
        files: Paths below the root of the videos that are here and may be used.
        preparation: Of the dataset, which knows the index.
    """
    known = {entry.file: entry for entry in preparation.entries(root) or ()}
    gone = {file for file in known if not is_there(root / file)}  # prepared clips outlive their videos
    kept = {file: e for file, e in known.items() if file in gone or e.is_of(root / file)}
    others = [file for file in files if file not in kept]
    if others:
        say, command = log.warning if known else log.info, preparation.command("prepare", root)
        say("%d of %d videos are read each time; once and for all: %s", len(others), len(files), command)
    for entry in examine_videos(root, others, preparation.format) if others else ():
        before = known.get(entry.file)
        kept[entry.file] = before if before and before.sha256 == entry.sha256 else entry
    return [kept[file] for file in sorted(kept)]
