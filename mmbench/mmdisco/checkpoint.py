"""Stores and loads what a training leaves: resumable checkpoints, the finished weights and their card.

Every file is written beside its place, synced and renamed, so that a kill leaves the old one or the new one.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from mmbench.console import log
from mmbench.errors import IntegrityError, MMBenchError, UsageError, one_line
from mmbench.files import remove_unfinished, seal, write_whole, writing
from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.tensor_files import write_tensors
from mmbench.weights.headers import require_whole
from mmbench.weights.pickles import load_pickle

CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
PAIRINGS_IN_WORDS = {
    "index": "one for both (pairing index)",
    "band": "the audio's within 20 % of T of the video's (pairing band)",
    "independent": "each its own (pairing independent)",
}
WEIGHTS, RECORD, CARD = "discriminator.safetensors", "training.json", "README.md"


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Stores the state of a training; the one before stays as `checkpoint.previous.pt`."""
    current = folder / CHECKPOINT
    if current.exists():
        with writing(current):
            current.replace(folder / PREVIOUS)
    remove_unfinished(folder)
    written = BytesIO()
    torch.save(_canonical(state), written)
    write_whole(current, written.getbuffer())


def _canonical(value: Any) -> Any:
    """A state whose pickle depends on what it holds alone, not on which of its equal texts are one object.

    Those of a resumed training come from its checkpoint, and are others than the code's.
    """
    if isinstance(value, Mapping):
        return {_canonical(key): _canonical(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_canonical, value))
    return sys.intern(value) if type(value) is str else value


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Loads the newest readable checkpoint to the CPU; None if there is none.

    Raises:
        IntegrityError: If there are checkpoints, none of which can be read.
    """
    errors = []
    there = [path for path in (folder / CHECKPOINT, folder / PREVIOUS) if path.exists()]
    for path in there:
        try:
            state = _load(path)
        except (OSError, ValueError, LookupError, RuntimeError, BadZipFile, MMBenchError) as error:
            errors.append(f"{path.name}: {one_line(error)}")
            continue
        if errors:
            log.warning("%s cannot be read, so the one before it is resumed", errors[0])
        return state
    if errors:
        remove = shlex.join(["rm", *map(str, there)])
        raise IntegrityError(
            f"No checkpoint in {folder} can be read ({'; '.join(errors)}).",
            "a checkpoint of `train`",
            f"{remove}; then the same command, which starts anew",
        )
    return None


def refuse_other_pairs(folder: Path, name: str) -> None:
    """Raise UsageError if a folder's checkpoint was trained on other pairs, before hours go into those of `name`."""
    state = load_checkpoint(folder)
    seen = json.loads(state["record"]).get("pairs", []) if state else [name]
    if name not in seen:
        raise UsageError(
            f"{folder / CHECKPOINT} belongs to another training: pairs is {seen}, and {name} is none of them.",
            "the same dataset, pairs, pool seed and options of the system, and the code that made its pairs",
            "another output folder",
        )


def _load(path: Path) -> dict[str, Any]:
    """The state in a file, which is a zip archive: torch does not look at the checksums that it writes there."""
    require_whole(path)
    with ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} contradicts its checksum")
    state = load_pickle(path, path.name)
    if "step" not in state:
        raise ValueError("it is not the state of a training")
    return state


def save_weights(folder: Path, weights: Mapping[str, Tensor], config: DiscriminatorConfig) -> Path:
    """Stores a state dict under the official names as safetensors, with the config that `load_discriminator` needs."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    metadata = {"config": json.dumps(asdict(config))}
    write_tensors(folder / WEIGHTS, tensors, metadata)
    return folder / WEIGHTS


def save_card(folder: Path, record: Mapping[str, Any]) -> None:
    """Stores what the weights are, for programs (`training.json`) and for people (`README.md`)."""
    write_whole(folder / RECORD, seal(json.dumps(record, indent=2, sort_keys=True, allow_nan=False).encode()))
    write_whole(folder / CARD, format_card(record).encode())


def format_card(record: Mapping[str, Any]) -> str:
    """The model card as Markdown: design, data, settings, steps and losses."""
    training, losses = dict(record["config"]), record["losses"]
    discriminator = training.pop("discriminator")
    rows = {
        "design": discriminator["design"],
        "timesteps of video and audio": PAIRINGS_IN_WORDS[discriminator["pairing"]],
        "parameters": f"{record['num_parameters']:,}",
        "trained on": record["trained_on"] or "not stated",
        "real pairs, generated pairs": f"{record['num_real']:,}, {record['num_fake']:,}",
        "noise schedules": f"video {record['schedules'][0]}, audio {record['schedules'][1]}",
        "steps, pairs per step": f"{record['steps']:,}, {record['global_batch_size']:,}",
        "last losses": ", ".join(f"{name} {value:.4g}" for name, value in losses[-1].items()) if losses else "none",
        "weights": f"exponential average, {training['ema_decay']}" if training["ema_decay"] else "last step",
    } | {name.replace("_", " "): value for name, value in training.items() if name != "steps"}
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"# MMDisCo discriminator, {discriminator['design']}\n\n"
        "The logit that a noised video and a noised audio belong together (arXiv 2405.17842). Load it with\n"
        f'`mmbench.mmdisco.discriminator.load_discriminator("{WEIGHTS}")`.\n\n'
        f"| | |\n|---|---|\n{table}\n\n"
        f"The discriminator's config is in `{WEIGHTS}` and, with the course of the losses, in `{RECORD}`.\n"
    )
