"""Runs and anybody's clips to look at and listen to: contact sheets, and videos of samples side by side.

FOLDER/contact_sheet.png     a block per sample, a row per run or submission; further sheets of eight samples follow
FOLDER/000003.mp4            sample 3 of runs, row 3 of submissions: all in step, each heard in turn
FOLDER/000003.gif            the same without sound, on request
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.files import write_whole
from mmbench.jobs.submissions import find_set
from mmbench.pictures.columns import Column
from mmbench.pictures.contact_sheet import sheet_header, sheet_row
from mmbench.pictures.panels import load_panels
from mmbench.pictures.rows import pair_columns
from mmbench.pictures.side_by_side import write_gif, write_side_by_side
from mmbench.pictures.truth import find_truth
from mmbench.progress import Stage
from mmbench.runs.find import name_out, run_folders
from mmbench.tables.runs import damage_of
from mmbench.types import Clip

SHEET_SAMPLES = 8  # on one contact sheet
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
    damaged = {folder: said for folder in run_folders(out) if (said := damage_of(folder))}
    whole = [folder for folder in run_folders(out) if folder not in damaged]
    runs = [folder for folder in whole if (folder / "samples").is_dir()]
    scored = [folder for folder in whole if folder not in runs]
    notes = list(damaged.values())
    if damaged and not whole:
        raise IntegrityError(
            notes[0], "a run that can be read", shlex.join(["mmbench", "list", "runs", *name_out(out)])
        )
    if not runs and not scored:
        raise MMBenchError(f"{out} holds no run.", "runs, or clips that were evaluated", "mmbench run")
    first = ("ground_truth", "independent")
    runs = sorted(runs, key=lambda f: next((i for i, name in enumerate(first) if f.name.startswith(name)), 2))
    if not runs or not scored:
        return runs or scored, notes
    words = ["mmbench", verb, *(folder.name for folder in [*runs, *scored]), *name_out(out)]
    return runs, [*notes, f"Submissions are not shown. try: {shlex.join(words)}"]


def preview(
    columns: Sequence[Column],
    num: int,
    folder: Path,
    progress: Stage | None = None,
    *,
    gif: bool = False,
    film: bool = True,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Draw the first samples of runs and submissions, side by side.

    Args:
        columns: Runs of the same prompts and seeds, or submissions, which pair as `mmbench compare` pairs them.
        num: Samples to show, at most.
        folder: Where the files go; those of an earlier preview are replaced.
        progress: Told of each sample.
        gif: Whether to write a GIF of each sample, too.
        film: Whether to write an MP4 of each sample; else the contact sheet is all.

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
    truth = find_truth(columns, indices)
    notes += [truth.note] if truth.note else []
    blocks: list[np.ndarray] = []
    sheets: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(indices):
            id, title = sample_title(columns, row)
            panels = load_panels(columns, row, truth.of_row(number))
            blocks += [sheet_header(panels)] if not blocks else []
            blocks.append(sheet_row(title, panels))
            if len(blocks) > SHEET_SAMPLES or number == len(indices) - 1:
                sheets.append(folder / f"contact_sheet{f'_{len(sheets) + 1}' * bool(sheets)}.png")
                write_whole(sheets[-1], png_bytes(np.concatenate(blocks)))
                blocks = []
            stem = folder / f"{number if columns[0].is_submission else int(id):06d}"
            if film:
                write_side_by_side(title, panels, stem.with_suffix(".mp4"))
            if gif:
                write_gif(title, panels, stem.with_suffix(".gif"))
            if progress:
                progress.advance()
    except OSError as error:
        raise MMBenchError(f"Cannot write to {folder}: {error.strerror}.", "a folder you may write", "--to") from error
    notes += [f"{c.name}: {len(c.failures)} clips cannot be read." for c in columns if c.failures]
    what = f"{len(indices)} samples of {len(columns)} sets"
    rows = [{"file": str(sheet), "what": "contact sheet"} for sheet in sheets]
    if film:
        rows.append({"file": str(folder / "*.mp4"), "what": f"{what} in step, each heard in turn"})
    if gif:
        rows.append({"file": str(folder / "*.gif"), "what": f"{what} in step, without sound"})
    return rows, notes


def sample_title(columns: Sequence[Column], row: Sequence[int | None]) -> tuple[str, str]:
    """What a row is called, and that with the one prompt of its samples; runs say the index, submissions the file.

    Raises:
        UsageError: The samples were made for different prompts.
    """
    known = [c.samples[i] for c, i in zip(columns, row, strict=True) if i is not None]
    texts = list(dict.fromkeys(sample["text"] for sample in known if sample.get("text")))
    id = str(known[0]["id"])
    if len(texts) > 1:
        found = f"Sample {id} has {len(texts)} prompts: {', '.join(map(repr, texts))}."
        alone = f"mmbench preview {columns[0].folder}"
        raise UsageError(found, "runs of the same version of a dataset", alone)
    name = id if columns[0].is_submission else str(int(id))
    return name, f"{name}   {''.join(texts)}"


def enlarged(clip: Clip) -> Clip:
    """The clip with every pixel repeated until height and width reach 256."""
    factor = -(-LEAST_SIZE // min(clip.video.shape[1:3]))
    return replace(clip, video=clip.video.repeat(factor, axis=1).repeat(factor, axis=2)) if factor > 1 else clip


def png_bytes(image: np.ndarray) -> bytes:
    """An image (h, w, 3) uint8 as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", optimize=True)
    return buffer.getvalue()
