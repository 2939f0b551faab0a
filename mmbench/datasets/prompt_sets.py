"""Prompt sets of other benchmarks as datasets without real clips, fetched once by `mmbench weights fetch NAME`.

Prompts come in the order of the published files. Formats were read from the repositories at the commits of
`mmbench.weights.known_prompts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmbench.datasets.prompts import PromptList, read_rows
from mmbench.errors import MMBenchError
from mmbench.registry import register
from mmbench.types import Prompt

Shape = Mapping[str, float] | None
Row = Mapping[str, Any]
Reader = Callable[[str, int, Row], list[tuple[str, str]]]  # stem of the file, place, row -> ids and texts


def named(column: str, id: str = "") -> Reader:
    """Reads the text in a column; the id of another one, or the file and the place in it."""
    return lambda stem, i, row: [(str(row[id]) if id else f"{stem}-{i:04d}", row[column])]


READERS: dict[str, Reader] = {
    "avgen_bench": named("prompt"),
    "phyavbench": lambda stem, i, row: [(f"{row['id']}_{side}", row[f"prompt_{side}"]) for side in "ab"],
    "t2av_compass": named("prompt", "index"),
    "vabench": named("prompt_en"),
    "moviegen_audio": lambda stem, i, row: [(str(row["id"]), f"{row['video_prompt']} {row['audio_prompt']}")],
    "audiocaps": named("caption", "audiocap_id"),
    "javisbench": named("text"),
    "javisbench_mini": named("text"),
}


def read_set(name: str, path: Path) -> list[Prompt]:
    """The prompts of a set in its files: `category` is the file of each where there are several.

    Raises:
        MMBenchError: A row is not as the set was published.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    prompts = []
    for file in files:
        category = {"category": file.stem} if len(files) > 1 else {}
        for i, row in enumerate(read_rows(file)):
            try:
                found = READERS[name](file.stem, i, row)
            except (KeyError, TypeError) as error:
                what = f"{file}: row {i + 1} is not as {name} was published: it lacks {error}."
                raise MMBenchError(what, "the file that was published", f"mmbench weights verify {name}") from None
            rest = {key: value for key, value in row.items() if isinstance(value, str | int) and key != "id"}
            prompts += [Prompt(id, text.strip(), category | rest) for id, text in found]
    return prompts


class PromptSet(PromptList):
    """A published list of prompts.

    Args:
        name: Of the set and of its files in the table of weights.
        shape: Of the clips to make, where that is not 16 frames of 256x256 at 8 fps with sound at 16 kHz.

    Raises:
        MMBenchError: Its files are not here, which says how to get them, or not those that were first used.
    """

    def __init__(self, name: str, shape: Shape) -> None:
        from mmbench.weights.checkpoints import verify

        self.name = name
        self.take(read_set(name, verify(name).path), shape)


@register("dataset", "avgen_bench", "AVGen-Bench: 235 prompts of 11 kinds, no clips; fetched.")
def avgen_bench(*, shape: Shape = None) -> PromptSet:
    """Microsoft's prompts; `category` is ads, animals, asmr …"""
    return PromptSet("avgen_bench", shape)


@register("dataset", "phyavbench", "PhyAVBench: 337 pairs of prompts that differ in one physical property; fetched.")
def phyavbench(*, shape: Shape = None) -> PromptSet:
    """Both prompts of each pair, ids ending in _a and _b."""
    return PromptSet("phyavbench", shape)


@register("dataset", "t2av_compass", "T2AV-Compass: 500 long prompts, no clips; fetched.")
def t2av_compass(*, shape: Shape = None) -> PromptSet:
    """The full prompt, not those of one modality."""
    return PromptSet("t2av_compass", shape)


@register("dataset", "vabench", "VABench: its text prompts, easy and hard, no clips; fetched.")
def vabench(*, shape: Shape = None) -> PromptSet:
    """The English prompt of both modalities; `category` is the file."""
    return PromptSet("vabench", shape)


@register("dataset", "moviegen_audio", "Movie Gen Audio Bench (SFX): prompts of video and sound; fetched.")
def moviegen_audio(*, shape: Shape = None) -> PromptSet:
    """The video's prompt followed by the sound's."""
    return PromptSet("moviegen_audio", shape)


@register("dataset", "audiocaps", "AudioCaps 2.0: captions of the test set, no clips; fetched.")
def audiocaps(*, shape: Shape = None) -> PromptSet:
    """Every caption is a prompt."""
    return PromptSet("audiocaps", shape)


@register("dataset", "javisbench", "JavisBench: 10,140 prompts, no clips; fetched.")
def javisbench(*, shape: Shape = None) -> PromptSet:
    """The column text; its five categories come along as cat0_ind to cat4_ind."""
    return PromptSet("javisbench", shape)


@register("dataset", "javisbench_mini", "JavisBench-mini: 1,000 of its prompts, no clips; fetched.")
def javisbench_mini(*, shape: Shape = None) -> PromptSet:
    """As javisbench."""
    return PromptSet("javisbench_mini", shape)
