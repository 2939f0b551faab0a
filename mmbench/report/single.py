"""`mmbench report --single`: a report in one file of HTML, its clips inside, that stays below a size."""

from __future__ import annotations

import json
import shlex
from base64 import b64encode
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from mmbench.errors import MMBenchError, UsageError
from mmbench.files import write_whole
from mmbench.jobs.retyped import retype
from mmbench.progress import Stage
from mmbench.report.clips import make_clips
from mmbench.report.data import describe, samples_as_script
from mmbench.report.material import Material
from mmbench.report.media import Events
from mmbench.report.write import CLIPS, Written, count_unreadable, render_report, tell_content

MB = 1_000_000
KINDS = {".mp4": "video/mp4", ".png": "image/png"}
ROOM = 2000  # for the words about what did not fit [bytes]


def write_single(
    material: Material,
    file: Path,
    command: Sequence[str],
    limit_mb: float,
    workers: int = 1,
    progress: Stage | None = None,
) -> tuple[Written, list[str]]:
    """Write a report as one file, with the clips of as many samples as fit; numbers and plots are always of all.

    Args:
        material: What it shows.
        file: Where it goes; an earlier one is replaced once the new one is whole.
        command: The words that were typed.
        limit_mb: Most that the file may take [MB, 10^6 bytes].
        workers: Clips that are made at once.
        progress: Told of each row of samples.

    Returns:
        What was written, rows of file and what; and a note where not all samples fit, which the page has, too.

    Raises:
        UsageError: `file` is a folder.
        MMBenchError: Not one sample fits, or the file cannot be written.
    """
    if file.is_dir():
        found = f"{file} is a folder."
        raise UsageError(found, "a file for the page", retype(command, "--to", str(file / "report.html")))
    total, typed = len(material.rows), [shlex.join(command)]
    bare = len(_page(replace(material, rows=[]), typed, [], {}).encode()) + ROOM
    left, events = int(limit_mb * MB) - bare, []
    media: dict[str, str] = {}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with (
            TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder,
            closing(make_clips(material.sources, Path(folder), workers, material.truth)) as rows,
        ):
            for number, row in enumerate(rows):
                known = {name: url for e in row if e for name, url in _inline(e, Path(folder)) if name not in media}
                alone = replace(material, rows=material.rows[number : number + 1], scores={}, labels={})
                size = sum(map(len, known)) + sum(map(len, known.values())) + 8 * len(known)
                size += len(samples_as_script(alone, [row])) + 100
                if size > left:
                    break
                left, media = left - size, media | known
                events.append(row)
                if progress:
                    progress.advance()
        if total and not events:
            _refuse(bare + size, limit_mb, command)
        notes = []
        if len(events) < total:
            used = int(limit_mb * MB) - bare - left
            notes = [_note(len(events), total, bare + used * total / len(events), limit_mb, command)]
            material = replace(material, rows=material.rows[: len(events)], notice=notes[0])
        write_whole(file, _page(material, typed, events, media).encode())
    except OSError as error:
        raise MMBenchError(f"Cannot write {file}: {error.strerror}.", "a file you may write", "--to FILE") from error
    what = f"{tell_content(material)}, {file.stat().st_size / MB:.1f} MB in all"
    return [{"file": str(file), "what": what}, *count_unreadable(events)], notes


def _page(
    material: Material, command: Sequence[str], events: Sequence[Sequence[Events | None]], media: dict[str, str]
) -> str:
    inline = f"{samples_as_script(material, events)}const MEDIA = {json.dumps(media)};\n"
    return render_report(describe(material), command, inline)


def _inline(events: Events, folder: Path) -> list[tuple[str, str]]:
    """Name and data URL of each file of a clip; none for one that cannot be read."""
    if "file" not in events:
        return []
    files = [(suffix, folder / f"{events['file']}{suffix}") for suffix in KINDS]
    return [
        (f"{CLIPS}/{file.name}", f"data:{KINDS[suffix]};base64,{b64encode(file.read_bytes()).decode()}")
        for suffix, file in files
    ]


def _note(shown: int, total: int, size: float, limit_mb: float, command: Sequence[str]) -> str:
    more = retype(command, "--limit-mb", str(ceil(1.1 * size / MB)))
    return (
        f"Clips of the first {shown} of {total} samples fit into {limit_mb:g} MB; numbers and plots are of all. All "
        f"would take about {size / MB:.0f} MB. try: {more}"
    )


def _refuse(size: int, limit_mb: float, command: Sequence[str]) -> NoReturn:
    found, enough = f"A page with one sample takes {size / MB:.1f} MB.", str(ceil(size / MB))
    raise MMBenchError(found, f"at most {limit_mb:g} MB", retype(command, "--limit-mb", enough))
