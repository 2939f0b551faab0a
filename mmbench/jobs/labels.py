"""What samples can be grouped by: columns of the table of prompts, and what a dataset knows of its prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mmbench.datasets.copies.text_files import read_csv
from mmbench.errors import UsageError
from mmbench.features.extract import Sample
from mmbench.media.sources import holds_clips
from mmbench.types import Dataset

OWN = ("file", "prompt")  # columns of a table of prompts that are no label
PROMPT = "prompt"  # what every sample with a text can be grouped by


def read_labels(folder: Path, table: Path | None = None) -> dict[str, dict[str, str]]:
    """The columns beside file and prompt of the table that `datasets.copies.texts.read_prompts` reads, by file name.

    Args:
        folder: Of clips.
        table: A CSV file elsewhere; by default the only one in the folder.
    """
    tables = ([table] if table else sorted(folder.glob("*.csv"))) if holds_clips(folder) else []
    if not tables:
        return {}
    _, rows = read_csv(tables[0])
    return {row.get("file", ""): {k: v.strip() for k, v in row.items() if k and k not in OWN} for row in rows}


def label_samples(samples: Sequence[Sample | None], dataset: Dataset, seed: int) -> list[Sample | None]:
    """The samples of a run with what its dataset knows of their prompts: the material of a ball, the number of balls.

    A sample whose text is not that of the dataset's prompt, as of another version of it, gets no label.
    """
    out: list[Sample | None] = []
    for sample, prompt in zip(samples, dataset.prompts(len(samples), seed), strict=True):
        if sample is not None and sample.text == prompt.text:
            known = {k: str(v) for k, v in prompt.data.items() if k not in OWN and isinstance(v, str | int | float)}
            sample = replace(sample, labels=known)
        out.append(sample)
    return out


def require_label(samples: Mapping[str, Sequence[Sample | None]], by: str, command: str) -> None:
    """Refuse to group by what no sample of a set has, before anything is scored.

    Args:
        samples: Of each set, by its name.
        by: "prompt", or a label.
        command: What was typed, without --by.

    Raises:
        UsageError: Names the set and what its samples can be grouped by.
    """
    known = {name: list_labels(rows) for name, rows in samples.items()}
    lacking = [name for name, labels in known.items() if by not in labels]
    if lacking:
        refuse_label(lacking[0], by, known, command)


def list_labels(samples: Sequence[Sample | None]) -> list[str]:
    """What samples can be grouped by."""
    there = [sample for sample in samples if sample is not None]
    labels = dict.fromkeys(key for sample in there for key in sample.labels)
    return [*([PROMPT] if any(sample.text for sample in there) else []), *labels]


def refuse_label(name: str, by: str, known: Mapping[str, Sequence[str]], command: str) -> None:
    """Raise the UsageError for a set that cannot be grouped; suggests what all sets can be grouped by."""
    shared = [label for label in known[name] if all(label in labels for labels in known.values())]
    found = f"No sample of {name} has a {by}; what is known: {', '.join(known[name]) or 'no prompt and no label'}."
    expected = f"a CSV file,prompt,{by} in the folder of clips or as --prompts, or what the dataset knows"
    raise UsageError(found, expected, f"{command} --by {shared[0]}" if shared else command)
