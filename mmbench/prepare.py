"""Makes clips of a dataset's videos ready once: cut, scaled and resampled, lossless, with an index of what was found.

Stopped at any moment, the same call continues: what was finished is in the index's `.part`, one line per video. The
index itself appears when all is done, so a dataset never sees half of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mmbench.console import progress
from mmbench.datasets.conformed import (
    INDEX,
    PREPARED,
    Entry,
    conformed,
    examine,
    heading,
    read_index,
    what_is_wrong,
)
from mmbench.errors import MediaError, MMBenchError
from mmbench.media import write_lossless
from mmbench.store import append_line, write_whole
from mmbench.types import ClipFormat


def prepare_one(root: Path, file: str, clip: str, form: ClipFormat) -> Entry:
    """Examine a video, decode it to its end, and write its clip to `clip` below the folder `prepared`."""
    entry = examine(root, file, form)
    if entry.status != "ok":
        return entry
    try:
        made = conformed(root / file, form)
    except MediaError as error:  # damage that packets do not show
        return replace(entry, status="corrupt", reason=what_is_wrong(error, root / file))
    data = BytesIO()
    write_lossless(made, data)
    write_whole(root / PREPARED / clip, data.getvalue())
    return replace(entry, clip=clip, notes=made.notes)


def prepare(
    name: str, root: Path, videos: dict[str, str], form: ClipFormat, *, workers: int | None = None, quiet: bool = False
) -> list[Entry]:
    """Make the clips of a copy ready, and an index of them.

    Args:
        name: Of the dataset.
        root: Of the copy; clips come to `root/prepared`.
        videos: Path below `root` by key; a clip is called by its video's key.
        form: Format of the clips.
        workers: Processes; None takes all cores.
        quiet: No progress.

    Returns:
        One entry per video, in the order of their paths. Videos that went away since an earlier call stay in the index.

    Raises:
        IntegrityError: An index of another format lies there.
        IncompleteError: The disk is full.
        MMBenchError: The copy cannot be written to.
    """
    folder = root / PREPARED
    try:
        (folder / "clips").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = f"{folder} cannot be made: {error.strerror}."
        raise MMBenchError(found, "a copy that can be written to", "a folder of links to the videos") from error
    index, part = folder / INDEX, folder / f"{INDEX}.part"
    known = {e.file: e for path in (index, part) for e in read_index(path, name, form) or ()}
    jobs = [(root, file, f"clips/{key}.mkv", form) for key, file in videos.items() if not _current(root, known, file)]
    _begin(part, heading(name, form))
    with progress("prepare", len(jobs), quiet) as shown:
        for entry in _run(jobs, workers or os.cpu_count() or 1):
            append_line(part, asdict(entry))
            known[entry.file] = entry
            shown.advance()
    entries = [known[file] for file in sorted(known)]
    lines = [heading(name, form), *map(asdict, entries)]
    write_whole(index, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
    part.unlink()
    return entries


def _current(root: Path, known: dict[str, Entry], file: str) -> bool:
    """Whether what is known of a video is of the file that lies there now, and its clip is there too."""
    entry, stat = known.get(file), (root / file).stat()
    if entry is None or (entry.size, entry.changed) != (stat.st_size, stat.st_mtime_ns):
        return False
    return not entry.clip or (root / PREPARED / entry.clip).is_file()


def _begin(part: Path, first: dict[str, Any]) -> None:
    """Let new lines follow whole ones: a line that was cut off goes."""
    lines = part.read_bytes().splitlines(keepends=True) if part.is_file() else []
    whole = [line for line in lines if line.endswith(b"\n")]
    write_whole(part, b"".join(whole) if whole else json.dumps(first, ensure_ascii=False).encode() + b"\n")


def _run(jobs: Sequence[tuple[Path, str, str, ClipFormat]], workers: int) -> Iterator[Entry]:
    """Entries as they are finished; a few jobs are not worth a pool."""
    if workers == 1 or len(jobs) <= workers:
        yield from (prepare_one(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(prepare_one, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
