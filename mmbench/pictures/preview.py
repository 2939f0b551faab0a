"""Runs and anybody's clips to look at and listen to: a contact sheet, an MP4 of each, a page that plays them.

FOLDER/contact_sheet.png     a row per sample, a block per run or submission
FOLDER/RUN/000003.mp4        sample 3 of a run, row 3 of a submission, enlarged, H.264 and AAC
FOLDER/index.html            all of them with their scores; needs nothing but the files beside it
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.files import write_whole
from mmbench.jobs.submissions import find_set
from mmbench.media.clip_files import write_preview
from mmbench.pictures.columns import Column
from mmbench.pictures.contact_sheet import sheet_header, sheet_row
from mmbench.pictures.page import Cell, page
from mmbench.pictures.rows import pair_columns
from mmbench.progress import Stage
from mmbench.runs.find import name_out, run_folders
from mmbench.types import Clip

LEAST_SIZE = (
    256  # smaller videos are enlarged by a whole factor, so that players and chroma subsampling spare them [px]
)


def find_places(
    names: Sequence[str], out: Path, command: Sequence[str] = (), verb: str = "preview"
) -> tuple[list[Path], list[str]]:
    """Where the runs and clips called `names` lie; without names all runs in `out`, controls first, or all submissions.

    Args:
        names: Runs, folders of clips, or videos.
        out: Folder of runs.
        command: The words that were typed, for what an error says to type.
        verb: The command of mmbench that shows them.

    Returns:
        The places, and a note on what is left out.

    Raises:
        UsageError: A name that is neither a path nor a run.
        MMBenchError: There is nothing to show.
    """
    if names:
        found = {name: find_set(name, out, command) or Path(name) for name in names}
        if unknown := [name for name, place in found.items() if not place.exists()]:
            listed = shlex.join(["mmbench", "list", "runs", *name_out(out)])
            raise UsageError(f"No run in {out} is called {unknown[0]!r}, and no path.", "a run, or clips", listed)
        return list(found.values()), []
    runs = [folder for folder in run_folders(out) if (folder / "samples").is_dir()]
    scored = [folder for folder in run_folders(out) if folder not in runs]
    if not runs and not scored:
        raise MMBenchError(f"{out} holds no run.", "runs, or clips that were evaluated", "mmbench run")
    first = ("ground_truth", "independent")
    runs = sorted(runs, key=lambda f: next((i for i, name in enumerate(first) if f.name.startswith(name)), 2))
    if not runs or not scored:
        return runs or scored, []
    words = ["mmbench", verb, *(folder.name for folder in [*runs, *scored]), *name_out(out)]
    return runs, [f"Submissions are not shown. try: {shlex.join(words)}"]


def preview(
    columns: Sequence[Column], num: int, folder: Path, progress: Stage | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write the gallery of the first samples of runs and submissions.

    Args:
        columns: Runs of the same prompts and seeds, or submissions, which pair as `mmbench compare` pairs them.
        num: Samples to show, at most.
        folder: Where the files go; those of an earlier gallery are replaced.
        progress: Told of each sample.

    Returns:
        What was written, rows of file and what; and notes on what has no partner or cannot be read.

    Raises:
        UsageError: `num` is below 1, or the runs' prompts differ.
        MMBenchError: There are no samples, or the folder cannot be written.
    """
    if num < 1:
        raise UsageError(f"--num is {num}.", "a whole number from 1", "mmbench preview --num 8")
    indices, notes = pair_columns(columns, num)
    if not indices:
        raise MMBenchError(f"None of the first {num} samples is there.", "samples", "mmbench run")
    names = [column.name for column in columns]
    pictures, written = [sheet_header(names)], 0
    rows: list[tuple[str, str, list[Cell]]] = []
    try:
        for row in indices:
            id, text = _title(columns, row)
            clips = [None if i is None else _load(c, i) for c, i in zip(columns, row, strict=True)]
            pictures.append(sheet_row(f"{id}   {text}", clips))
            cells = list(_cells(columns, row, clips, folder, len(rows)))
            written += sum(bool(cell.file) for cell in cells)
            rows.append((id, text, cells))
            if progress:
                progress.advance()
        run = columns[0].run
        title = f"{run.dataset}, seed {run.seed}" if run and not columns[0].is_submission else ", ".join(names)
        text = page(title, [(c.name, c.values) for c in columns], rows)
        write_whole(folder / "index.html", text.encode())
        write_whole(folder / "contact_sheet.png", _png(np.concatenate(pictures)))
    except OSError as error:
        raise MMBenchError(f"Cannot write to {folder}: {error.strerror}.", "a folder you may write", "--to") from error
    notes += [f"{c.name}: {len(c.failures)} clips cannot be read." for c in columns if c.failures]
    return [
        {"file": str(folder / "index.html"), "what": f"{len(indices)} samples of {len(names)} sets, to be played"},
        {"file": str(folder / "contact_sheet.png"), "what": "the same as one picture"},
        {"file": str(folder / "*" / "*.mp4"), "what": f"{written} videos with sound"},
    ], notes


def _title(columns: Sequence[Column], row: Sequence[int | None]) -> tuple[str, str]:
    """What a row is called, and the one prompt of the samples in it; runs say the index, submissions the file."""
    known = [c.samples[i] for c, i in zip(columns, row, strict=True) if i is not None]
    texts = list(dict.fromkeys(sample["text"] for sample in known if sample.get("text")))
    id = str(known[0]["id"])
    if len(texts) > 1:
        found = f"Sample {id} has {len(texts)} prompts: {', '.join(map(repr, texts))}."
        alone = f"mmbench preview {columns[0].folder}"
        raise UsageError(found, "runs of the same version of a dataset", alone)
    return (id if columns[0].is_submission else str(int(id))), "".join(texts)


def _load(column: Column, index: int) -> Clip | None:
    source = column.sources[index]
    try:
        return source.load() if source else None
    except MediaError as error:
        column.failures[index] = error.found
        return None


def _cells(
    columns: Sequence[Column], row: Sequence[int | None], clips: Sequence[Clip | None], folder: Path, number: int
) -> Iterator[Cell]:
    for column, index, clip in zip(columns, row, clips, strict=True):
        if clip is None or index is None:
            yield Cell("", {}, "" if index is None else column.failures.get(index, ""))
            continue
        place = number if column.is_submission else index
        file = Path(column.folder) / f"{place:06d}.mp4"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        try:
            write_preview(enlarged(clip), folder / file)
        except MediaError as error:  # such as a rate that no MP4 can have
            column.failures[index] = error.found
            yield Cell("", {}, error.found)
            continue
        yield Cell(file.as_posix(), column.scores(index))


def enlarged(clip: Clip) -> Clip:
    """The clip with every pixel repeated until height and width reach 256."""
    factor = -(-LEAST_SIZE // min(clip.video.shape[1:3]))
    return replace(clip, video=clip.video.repeat(factor, axis=1).repeat(factor, axis=2)) if factor > 1 else clip


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", optimize=True)
    return buffer.getvalue()
