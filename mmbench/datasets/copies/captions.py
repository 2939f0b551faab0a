"""Captions of videos by InstructBLIP (arXiv 2305.06500), from the first frame of each clip, as arXiv 2405.17842, 4.3.

They are written to the copy's `captions.csv` one by one, so that an interrupted command goes on; beside it
`captions.json` says what made them, and nothing else is mixed in.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.datasets.copies.first_clips import Clips, FirstClips
from mmbench.datasets.copies.texts import CAPTIONS, read_captions
from mmbench.datasets.copies.video_copy import VideoCopy
from mmbench.errors import MMBenchError, UsageError, one_line
from mmbench.files import read_json, write_json, write_whole
from mmbench.progress import progress

MODEL = "Salesforce/instructblip-vicuna-7b"
INSTRUCTION = "Write a short sentence for the image starting with 'The image captures a scene with'."
MAX_CHARACTERS, MAX_NEW_TOKENS = 128, 64
MADE_BY = "captions.json"

Captioner = Callable[[np.ndarray], str]  # (h, w, 3) uint8 -> text


def instructblip(model: str = MODEL, revision: str = "main", device: str = "auto", dtype: str = "float32") -> Captioner:
    """Loads InstructBLIP as a captioner of single pictures, greedy, so that it says the same each time.

    Args:
        model: Name on the Hugging Face hub, or a folder.
        revision: Commit, tag or branch of the name.
        device: auto, cpu, cuda.
        dtype: Precision of the weights.

    Raises:
        MMBenchError: The model is not here and cannot be had.
    """
    import torch
    from transformers import AutoProcessor, InstructBlipForConditionalGeneration

    from mmbench.networks.devices import local_device

    try:
        processor: Any = AutoProcessor.from_pretrained(model, revision=revision)
        network: Any = InstructBlipForConditionalGeneration.from_pretrained(
            model, revision=revision, dtype=getattr(torch, dtype)
        )
    except (OSError, ValueError) as error:
        found = f"InstructBLIP {model} at {revision} cannot be loaded: {one_line(error)}"
        raise MMBenchError(
            found, f"a model such as {MODEL}, or its folder", "--model FOLDER --revision COMMIT"
        ) from error
    network = network.to(local_device(device)).eval()

    @torch.inference_mode()
    def caption(picture: np.ndarray) -> str:
        given = processor(images=picture, text=INSTRUCTION, return_tensors="pt").to(network.device, network.dtype)
        tokens = network.generate(**given, do_sample=False, num_beams=1, max_new_tokens=MAX_NEW_TOKENS)
        prompt = given["input_ids"]
        if torch.equal(tokens[:, : prompt.shape[1]], prompt):  # decoders repeat what they were given
            tokens = tokens[:, prompt.shape[1] :]
        return shorten(processor.batch_decode(tokens, skip_special_tokens=True)[0])

    return caption


def shorten(text: str) -> str:
    """A text as one line of whole words and at most 128 characters."""
    words = " ".join(text.split())
    if len(words) <= MAX_CHARACTERS:
        return words
    return words[: MAX_CHARACTERS + 1].rpartition(" ")[0] or words[:MAX_CHARACTERS]


def write_captions(
    dataset: VideoCopy, load: Callable[[], Captioner], made_by: dict[str, str], quiet: bool = False
) -> tuple[int, int]:
    """Writes captions of all usable videos that have none.

    Args:
        dataset: The copy.
        load: Loads the captioner; not called if nothing is missing.
        made_by: Model, revision, precision and instruction of the captioner.
        quiet: No progress.

    Returns:
        How many captions there are, and how many of them are new.

    Raises:
        UsageError: The dataset's prompts are no captions, or those there are were made by something else.
    """
    if not (isinstance(dataset, FirstClips) and dataset.captioned):
        found = f"The prompts of {dataset.name} are no captions."
        raise UsageError(found, "a dataset that needs them: landscape", "mmbench data caption landscape")
    table, origin = dataset.root / CAPTIONS, dataset.root / MADE_BY
    known = read_captions(dataset.root)
    stored = read_json(origin) if origin.is_file() else {} if known else made_by
    if stored != made_by:
        found = f"{table} was made by {stored or 'something that mmbench does not know'}."
        raise UsageError(found, f"captions by {made_by}", f"move {table} away, or caption with what made it")
    write_json(origin, made_by, indent=1)
    todo = [(key, entry) for key, entry in dataset.usable.items() if not known.get(entry.file)]
    caption = load() if todo else None
    with progress("caption", len(todo), quiet) as bar:
        for key, entry in todo:
            (item,) = Clips(dataset.root, dataset.preparation, [(key, "", entry)])
            assert caption is not None
            known[entry.file] = caption(item.clip.video[0]) or "The image captures a scene."
            _write(table, known)
            bar.advance()
    return len(known), len(todo)


def _write(table: Path, captions: dict[str, str]) -> None:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([("file", "caption"), *sorted(captions.items())])
    write_whole(table, lines.getvalue().encode())
