"""Clips of files and of datasets, decoded."""

from __future__ import annotations

from pathlib import Path

from mmbench.api.arguments import read_whole
from mmbench.api.clips import Clips
from mmbench.console import log
from mmbench.dataset_names import parse_dataset_name
from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.jobs.opening import open_dataset
from mmbench.jobs.submissions import WHOLE, open_submission
from mmbench.optional_protocols import whole
from mmbench.registry import discover


def load_clips(name: str | Path, num: int | None = None, seed: int = 0) -> Clips:
    """Decode the clips of a folder as `mmbench evaluate` reads them, or real clips of a dataset; with their prompts.

    Files that cannot be decoded are warned of and left out. All clips are held in memory; a large folder of real clips
    is better named, as `reference="my_folder"`.

    Args:
        name: A dataset's name, of which the real clips are taken that metrics compare with; or a folder of videos with
            sound, or of video/audio pairs of one stem, with an optional CSV file,prompt; or a video. A name that is a
            dataset's means the dataset: "./bounce" is a folder.
        num: The first so many; all by default.
        seed: Of a dataset's order.

    Raises:
        UsageError: `num` is below 1.
        MMBenchError: Nothing there, nothing usable, or a real clip of a dataset that cannot be decoded.
    """
    num = None if num is None else read_whole("num", num, 1)
    if not isinstance(name, str | Path):
        raise UsageError(f"name is a {type(name).__name__}.", "a dataset's name, or a path", 'load_clips("bounce")')
    if is_dataset(name):
        items = whole(open_dataset(str(name))).reference(num, seed)
        taken = [items[i] for i in range(len(items) if num is None else min(num, len(items)))]
        return Clips([item.clip for item in taken], [item.prompt.text for item in taken], [item.id for item in taken])
    found = open_submission(Path(name), Path(name).stem, WHOLE)
    samples = [sample for sample in found.samples if sample is not None][:num]
    clips, kept = [], []
    for sample in samples:
        try:
            clips.append(sample.source.load())
        except MediaError as error:
            log.warning("%s is left out: %s", sample.source.id, error.found)
        else:
            kept.append(sample)
    if not clips:
        raise MMBenchError(f"None of the {len(samples)} clips of {name} can be decoded.", "clips", f"ls {name}")
    return Clips(clips, [sample.text for sample in kept], [sample.source.id for sample in kept])


def is_dataset(name: object) -> bool:
    """Whether a text names a registered dataset, with or without a path and options."""
    return isinstance(name, str) and parse_dataset_name(name).base in discover("dataset")[0]
