"""`mmbench study make`: clips under names that say nothing, and a page for each rater."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmbench.console import log
from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.files import make_folder
from mmbench.media.clip_files import write_preview
from mmbench.pictures.columns import Column, open_columns
from mmbench.pictures.preview import enlarged, find_places
from mmbench.pictures.rows import pair_columns
from mmbench.progress import Stage
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.study.design import ANSWERS, ATTENTION, CLIPS, KEY, PAGES, PAIR, Item, Study
from mmbench.study.page import write_pages
from mmbench.study.questions import Question
from mmbench.system_names import make_system
from mmbench.types import Clip

Row = tuple[int, int]  # index of a sample in either column


def make_study(
    names: tuple[str, str],
    out: Path,
    folder: Path,
    questions: Sequence[Question],
    num_pairs: int,
    num_raters: int,
    num_attention: int,
    seed: int,
    dataset: str = "",
    command: Sequence[str] = (),
    progress: Stage | None = None,
) -> Study:
    """Make a blind study of two runs or folders of clips, which pair as `mmbench compare` pairs them.

    Args:
        names: The two, by run or path.
        out: Folder of runs.
        folder: Where the study goes; must be new.
        questions: On each pair.
        num_pairs: Pairs of the two, drawn among those that both have.
        num_raters: Pages.
        num_attention: Pairs of a real clip and of real halves that do not belong together; 0 for none.
        seed: Of which pairs, which sides and which order.
        dataset: Whose real clips the attention pairs are; of the runs, if "".
        command: What was typed, for errors.
        progress: Told of each pair.

    Raises:
        UsageError: A number below its least, a folder that holds a study, or two that do not pair.
        MMBenchError: Too few pairs, or no real clips.
    """
    for name, value, least in (("pairs", num_pairs, 1), ("raters", num_raters, 1), ("attention", num_attention, 0)):
        if value < least:
            raise UsageError(f"--{name} is {value}.", f"a whole number from {least}", f"--{name} {max(least, 2)}")
    if (folder / KEY).exists():
        raise UsageError(f"{folder} holds a study.", "a new folder: its key would be lost", "--out another_study")
    places, _ = find_places(names, out, command)
    columns = open_columns(places, out, "study make")
    if len(columns) != 2:
        raise UsageError(f"{names[0]} and {names[1]} are one.", "two runs or folders")
    rows = _draw_rows(columns, num_pairs, seed)
    clips = folder / PAGES / CLIPS
    make_folder(clips)
    make_folder(folder / ANSWERS)
    made: dict[int, Item] = {}
    for k, row in rows.items():
        if len(made) == num_pairs:
            break
        try:
            made[k] = _make_pair(columns, row, clips)
        except MediaError as error:
            log.warning("A pair is left out and another drawn: %s", error.found)
            continue
        if progress:
            progress.advance()
    if len(made) < num_pairs:
        found = f"{len(made)} of {len(rows)} pairs can be read."
        raise MMBenchError(found, f"{num_pairs} pairs", f"--pairs {len(made)}, if that is enough, and another --out")
    items = [item for _, item in sorted(made.items())]
    items += _attention(dataset or _dataset_of(columns), seed, num_attention, clips)
    runs = tuple(column.run.run_id if column.run else str(column.folder) for column in columns)
    study = Study(
        secrets.token_hex(8),
        secrets.token_hex(16),
        seed,
        num_raters,
        (columns[0].name, columns[1].name),
        (runs[0], runs[1]),
        tuple(questions),
        tuple(items),
    )
    write_pages(study, folder / PAGES)
    study.save(folder)  # last: a folder with a key is a whole study
    return study


def _draw_rows(columns: Sequence[Column], num: int, seed: int) -> dict[int, Row]:
    """All rows that both columns have, in an order drawn by the seed, by their place in the first column's order."""
    every, _ = pair_columns(columns, max(len(column.sources) for column in columns))
    both = [(a, b) for a, b in every if a is not None and b is not None]
    if len(both) < num:
        found = f"{columns[0].name} and {columns[1].name} have {len(both)} clips of the same prompts."
        raise MMBenchError(found, f"{num} pairs", f"--pairs {len(both)}" if both else "runs of one dataset and seed")
    return {int(k): both[k] for k in np.random.default_rng([seed, 0]).permutation(len(both))}


def _make_pair(columns: Sequence[Column], row: Row, clips: Path) -> Item:
    """The item of a row; raises MediaError if a clip of it cannot be read."""
    samples = [column.samples[i] for column, i in zip(columns, row, strict=True)]
    pair = [_load(column, i) for column, i in zip(columns, row, strict=True)]
    text = str(samples[0].get("text") or samples[1].get("text") or "")
    return _write_item(PAIR, text, str(samples[0]["id"]), pair, clips)


def _load(column: Column, index: int) -> Clip:
    source = column.sources[index]
    if source is None:
        raise MediaError(f"{column.name} has no sample {index}.")
    return source.load()


def _write_item(kind: str, prompt: str, sample: str, pair: Sequence[Clip], folder: Path) -> Item:
    """Write both clips of an item under names drawn at random."""
    files = []
    for clip in pair:
        name = f"{secrets.token_hex(8)}.mp4"
        write_preview(enlarged(clip), folder / name)
        os.utime(folder / name, (0, 0))  # else the order in which files were written would tell whose they are
        files.append(f"{CLIPS}/{name}")
    return Item(secrets.token_hex(4), kind, prompt, sample, (files[0], files[1]))


def _dataset_of(columns: Sequence[Column]) -> str:
    """The dataset that the clips were made for; "" where nothing says it."""
    return next((c.run.dataset for c in columns if c.run is not None and not c.is_submission), "")


def _attention(name: str, seed: int, num: int, folder: Path) -> list[Item]:
    """Pairs of a real clip and its picture with the sound of another, of the dataset's first prompts by the seed."""
    if not num:
        return []
    wanted = "a dataset with real clips for pairs that show who attends"
    if not name:
        raise UsageError(
            "Nothing says which dataset the clips belong to.", wanted, "--dataset vggsound, or --attention 0"
        )
    dataset = make_dataset(name)
    requests = make_requests(dataset, num, seed)
    real = make_system("ground_truth", dataset=dataset).generate(requests)
    apart = make_system("independent", dataset=dataset).generate(requests)
    return [
        _write_item(ATTENTION, request.prompt.text, request.prompt.id, pair, folder)
        for request, *pair in zip(requests, real, apart, strict=True)
    ]
