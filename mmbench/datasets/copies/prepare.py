"""Makes a dataset's videos ready once, each as its `Preparation` says, lossless, with an index of what was found.

Stopped at any moment, the same call continues: what was finished is in the index's `.part`, one line per video. The
index itself appears when all is done, so a dataset never sees half of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmbench.datasets.copies.conformed import INDEX, Entry, Preparation, examine_video, read_index, reason_of
from mmbench.errors import MediaError, MMBenchError
from mmbench.files import append_line, format_lines, make_folder, read_lines, remove_unfinished, write_whole
from mmbench.media.limits import is_of_limit
from mmbench.processes import usable_cores, worker_pool
from mmbench.progress import progress


def prepare_video(root: Path, file: str, key: str, how: Preparation) -> Entry:
    """Examines a video, decodes it to its end, and writes what is made of it."""
    entry = examine_video(root, file, how.format, how.why)
    if entry.status != "ok":
        return entry
    try:
        data, notes = how.make(root / file)
    except MediaError as error:  # damage that packets do not show
        return replace(entry, status="corrupt", reason=reason_of(error, root / file))
    clip = how.clip.format(key=key)
    _write(root / how.folder / clip, data)
    return replace(entry, clip=clip, notes=notes)


def prepare_videos(
    root: Path, videos: Mapping[str, str], how: Preparation, *, workers: int | None = None, quiet: bool = False
) -> list[Entry]:
    """Makes the videos of a copy ready, and an index of them.

    Args:
        root: Of the copy.
        videos: Path below `root` by key.
        how: What is made of a video, and where it comes to.
        workers: Processes; None takes all cores.
        quiet: No progress.

    Returns:
        One entry per video, in the order of their paths. Videos that went away since an earlier call stay in the index.

    Raises:
        IntegrityError: An index of another format lies there.
        IncompleteError: The disk is full.
        MMBenchError: The copy cannot be written to.
    """
    folder = root / how.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = f"{folder} cannot be made: {error.strerror}."
        raise MMBenchError(found, "a copy that can be written to", "a folder of links to the videos") from error
    remove_unfinished(folder, (folder / how.clip).parent)
    index, part = folder / INDEX, folder / f"{INDEX}.part"
    known = {e.file: e for path in (index, part) for e in read_index(path, how.heading) or ()}
    jobs = [(root, file, key, how) for key, file in videos.items() if not _current(root, known.get(file), how)]
    _begin(part, how.heading)
    with progress("prepare", len(jobs), quiet) as shown:
        for entry in _run(jobs, workers or usable_cores()):
            append_line(part, asdict(entry))
            known[entry.file] = entry
            shown.advance()
    entries = [known[file] for file in sorted(known)]
    lines = [how.heading, *map(asdict, entries)]
    _write(index, format_lines(lines))
    part.unlink()
    return entries


def _current(root: Path, entry: Entry | None, how: Preparation) -> bool:
    """Whether an entry is of the file that lies there now, and what was made of that is there too."""
    if entry is None or not entry.is_of(root / entry.file) or is_of_limit(entry.reason):
        return False
    return not entry.clip or (root / how.folder / entry.clip).is_file()


def _begin(part: Path, first: dict[str, Any]) -> None:
    """Let the first line be there."""
    if not read_lines(part):
        write_whole(part, format_lines([first]))


def _write(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    write_whole(path, data)


def _run(jobs: Sequence[tuple[Path, str, str, Preparation]], workers: int) -> Iterator[Entry]:
    """Entries as they are finished; a few jobs are not worth a pool."""
    if workers == 1 or len(jobs) <= workers:
        yield from (prepare_video(*job) for job in jobs)
        return
    with worker_pool(workers) as pool:
        for future in as_completed([pool.submit(prepare_video, *job) for job in jobs]):
            yield future.result()
