"""The clips of a report, each made once: its files are named by what they show, so that a later report finds them.

FOLDER/3f2a....mp4, .png   a clip, and the picture of its sound
FOLDER/3f2a....json        its events; written last, so that the others are whole where it is
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from mmbench.code_identity import code_digest
from mmbench.errors import IntegrityError, MediaError
from mmbench.files import read_json, write_json
from mmbench.identity import digest_of
from mmbench.pictures.truth import UNKNOWN, Look, Truth
from mmbench.report.media import Events, write_media
from mmbench.runs.stored import StoredSource
from mmbench.types import ClipSource

AHEAD = 16  # rows that are begun before the first of them is asked for
MAKERS = (
    "mmbench.report.media",
    "mmbench.pictures.truth",
    "mmbench.media",
    "mmbench.pictures.clip_images",
    "mmbench.metrics",
)
SUFFIXES = (".mp4", ".png", ".json")


def make_clips(
    sources: Sequence[Sequence[ClipSource | None]], folder: Path, workers: int = 1, truth: Truth = UNKNOWN
) -> Generator[list[Events | None], None, None]:
    """Make the files of every clip that `folder` does not hold yet, and tell each one's events, row by row.

    Args:
        sources: Of each row one clip per set; None where there is none.
        folder: Where they go; clips of an earlier report in it are used again where file and code are the same.
        workers: Clips at once.
        truth: True times of events of the rows.

    Yields:
        Of each row, per set: `file`, the name of its files without suffix, and what `write_media` tells; None where
        there is no clip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _code()  # here, for Python 3.11 cannot parse in two threads at once
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(sources), AHEAD):
            rows = sources[start : start + AHEAD]
            looks = [truth.of_row(start + k) for k in range(len(rows))]
            pieces = [(source, look) for row, look in zip(rows, looks, strict=True) for source in row]
            done = pool.map(partial(_make, folder=folder), *zip(*pieces, strict=True))
            for row in rows:
                yield [next(done) for _ in row]


def drop_others(folder: Path, events: Sequence[Sequence[Events | None]]) -> None:
    """Remove the clips of an earlier report in `folder` that are not among `events`; nothing else is touched."""
    used = {e["file"] for row in events for e in row if e and "file" in e}
    for known in folder.glob("*.json"):
        if len(known.stem) == len(digest_of("")) and known.stem not in used:
            for suffix in reversed(SUFFIXES):  # the events first: without them nothing counts as whole
                known.with_suffix(suffix).unlink(missing_ok=True)


def _make(source: ClipSource | None, look: Look, folder: Path) -> Events | None:
    if source is None:
        return None
    try:
        name = _name(source, look)
    except MediaError as error:
        return {"unreadable": error.found}
    files = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    if all(file.is_file() for file in files):
        with suppress(IntegrityError):  # it is made anew
            return dict(read_json(files[-1]))
    events = write_media(source, folder / name, look)
    if "unreadable" not in events:
        events = {"file": name, **events}
        write_json(files[-1], events)
    return events


def _name(source: ClipSource, look: Look) -> str:
    """The digest of a clip's file, whatever its record says of it, of what is true of it, and of the code."""
    digest = source.file_digest if isinstance(source, StoredSource) else source.digest
    return digest_of([digest, look.of, _code()])


@cache
def _code() -> str:
    return code_digest([MAKERS[0]], MAKERS)
