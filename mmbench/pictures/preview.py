"""Runs to look at and listen to: a contact sheet, an MP4 per sample and run, and a page that plays them side by side.

FOLDER/contact_sheet.png     a row per sample, a block per run
FOLDER/RUN/000003.mp4        sample 3, enlarged, H.264 and AAC
FOLDER/index.html            all of them with their scores; needs nothing but the files beside it
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import MMBenchError, UsageError
from mmbench.files import write_whole
from mmbench.media.clip_files import write_preview
from mmbench.pictures.contact_sheet import sheet_header, sheet_row
from mmbench.pictures.page import Cell, page
from mmbench.progress import Stage
from mmbench.runs.find import find_run, run_folders
from mmbench.runs.store import SampleStore
from mmbench.scores.records import read_records, read_score
from mmbench.tables.format import with_error
from mmbench.types import Clip, is_untrained

LEAST_SIZE = (
    256  # smaller videos are enlarged by a whole factor, so that players and chroma subsampling spare them [px]
)


@dataclass(frozen=True)
class Column:
    """A run with its name in the gallery, and of each metric its value as text and its values per sample."""

    store: SampleStore
    name: str
    values: Mapping[str, str]
    per_sample: Mapping[str, np.ndarray]

    def scores(self, index: int) -> dict[str, str]:
        """Scores of one sample, by metric."""
        known = {m: v[index] for m, v in self.per_sample.items() if index < len(v)}
        return {m: "unscored" if np.isnan(x) else f"{x:.3f}" for m, x in known.items()}


def find_runs(names: Sequence[str], out: Path) -> list[Path]:
    """Folders of the runs called `names`, or of all in `out` that hold samples, controls first.

    Raises:
        UsageError: A name that no run has.
        MMBenchError: There is no run.
    """
    if names:
        found = {name: find_run(name, out) for name in names}
        if unknown := [name for name, folder in found.items() if folder is None]:
            raise UsageError(f"No run in {out} is called {unknown[0]!r}.", "a run's id or folder", "mmbench list runs")
        return [folder for folder in found.values() if folder is not None]
    folders = [folder for folder in run_folders(out) if (folder / "samples").is_dir()]
    if not folders:
        raise MMBenchError(f"{out} holds no run with samples.", "runs that were generated", "mmbench run")
    first = ("ground_truth", "independent")
    return sorted(folders, key=lambda f: next((i for i, name in enumerate(first) if f.name.startswith(name)), 2))


def open_columns(folders: Sequence[Path]) -> list[Column]:
    """The runs, if their samples have the same prompts and seeds.

    Raises:
        MMBenchError: A run holds no samples.
        UsageError: They are of several datasets or seeds.
    """
    for folder in folders:
        if not (folder / "samples").is_dir():
            raise MMBenchError(f"{folder} holds records of a submission, no samples.", "", "open the clips themselves")
    stores = [SampleStore.open(folder) for folder in dict.fromkeys(folders)]
    jobs: dict[tuple[str, int], list[str]] = {}
    for store in stores:
        jobs.setdefault((store.run.dataset, store.run.seed), []).append(store.folder.name)
    if len(jobs) > 1:
        what = ", ".join(f"{dataset} seed {seed}" for dataset, seed in jobs)
        together = " ".join(next(iter(jobs.values())))
        raise UsageError(f"Runs of {what} do not pair.", "runs of one dataset and seed", f"mmbench preview {together}")
    systems = [store.run.system for store in stores]
    return [_column(s, s.run.system if systems.count(s.run.system) == 1 else s.folder.name) for s in stores]


def _unreal(weights: str, what: str) -> str:
    """What must be said of numbers and samples that mean nothing."""
    return f", {weights} {what}" if is_untrained(weights) else ""


def _column(store: SampleStore, name: str) -> Column:
    values, per_sample = {}, {}
    for record in sorted(read_records(store.folder), key=lambda r: (r.n_expected, r.time)):  # the largest n, last
        metric = record.metric.partition(".")[0]
        unreal = _unreal(record.extractor_weights, "networks")
        values[metric] = f"{with_error(record.value, record.stderr)} (n = {record.n_scored}{unreal})"
        if (scores := read_score(store.folder, record).per_sample) is not None:
            per_sample[metric] = scores
    return Column(store, name + _unreal(store.run.weights, "weights"), values, per_sample)


def preview(columns: Sequence[Column], num: int, folder: Path, progress: Stage | None = None) -> list[dict[str, Any]]:
    """Write the gallery of the runs' first samples.

    Args:
        columns: Runs of the same prompts and seeds.
        num: Samples to show, at most.
        folder: Where the files go; those of an earlier gallery are replaced.
        progress: Told of each sample.

    Returns:
        What was written: rows of file and what.

    Raises:
        UsageError: `num` is below 1, or the runs' prompts differ.
        MMBenchError: There are no samples, or the folder cannot be written.
    """
    if num < 1:
        raise UsageError(f"--num is {num}.", "a whole number from 1", "--num 8")
    present = [set(column.store.status(num).present) for column in columns]
    indices = sorted(set().union(*present))
    if not indices:
        raise MMBenchError(f"None of the first {num} samples is there.", "samples", "mmbench generate ...")
    names = [column.name for column in columns]
    pictures, rows, written = [sheet_header(names)], [], 0
    try:
        for index in indices:
            stores = [c.store if index in there else None for c, there in zip(columns, present, strict=True)]
            title = _prompt(stores, index)
            clips = [store.source(index).load() if store else None for store in stores]
            pictures.append(sheet_row(f"{index}   {title}", clips))
            cells = list(_cells(columns, index, clips, folder))
            written += sum(bool(cell.file) for cell in cells)
            rows.append((index, title, cells))
            if progress:
                progress.advance()
        run = columns[0].store.run
        text = page(f"{run.dataset}, seed {run.seed}", [(c.name, c.values) for c in columns], rows)
        write_whole(folder / "index.html", text.encode())
        write_whole(folder / "contact_sheet.png", _png(np.concatenate(pictures)))
    except OSError as error:
        raise MMBenchError(f"Cannot write to {folder}: {error.strerror}.", "a folder you may write", "--to") from error
    return [
        {"file": str(folder / "index.html"), "what": f"{len(indices)} samples of {len(names)} runs, to be played"},
        {"file": str(folder / "contact_sheet.png"), "what": "the same as one picture"},
        {"file": str(folder / "*" / "*.mp4"), "what": f"{written} videos with sound"},
    ]


def _prompt(stores: Sequence[SampleStore | None], index: int) -> str:
    """The one prompt of sample `index` in the stores that have it."""
    texts = list(dict.fromkeys(store.record(index).text for store in stores if store))
    if len(texts) > 1:
        found = f"Sample {index} has {len(texts)} prompts: {', '.join(map(repr, texts))}."
        raise UsageError(found, "runs of the same version of a dataset", "name the runs: mmbench preview RUN RUN")
    return texts[0]


def _cells(columns: Sequence[Column], index: int, clips: Sequence[Clip | None], folder: Path) -> Iterator[Cell]:
    for column, clip in zip(columns, clips, strict=True):
        if clip is None:
            yield Cell("", {})
            continue
        file = Path(column.store.folder.name) / f"{index:06d}.mp4"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        write_preview(enlarged(clip), folder / file)
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
