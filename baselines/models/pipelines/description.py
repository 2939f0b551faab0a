"""A pair of pipelines, described: where their weights are, how they are called, what a discriminator sees of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmbench.errors import UsageError
from mmbench.files import expand_user

NOT_OF_LATENTS = ("num_inference_steps", "guidance_scale", "negative_prompt")  # of a call: a discriminator serves any


@dataclass(frozen=True)
class HalfDescription:
    """One pipeline of a pair: where its weights are, how it is called, and what a discriminator sees of it.

    Attributes:
        pipeline: A repository of the Hugging Face hub; "" for a folder, or for what a user is to give.
        revision: Its commit, 40 hex digits; "" where it is still to be given.
        folder: A folder as `save_pretrained` writes it; None for a repository.
        class_name: Name of the pipeline's class in diffusers; "" for whatever it is.
        call: Arguments of its call.
        scheduler: What is changed in its scheduler's configuration.
        view: Arguments of the view that a discriminator has of its latents.
        rate: Frames or samples per second; 0 for what the pipeline says.
    """

    pipeline: str = ""
    revision: str = ""
    folder: Path | None = None
    class_name: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    view: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 0

    @property
    def source(self) -> str:
        """Repository or folder, for errors."""
        return str(self.folder) if self.folder else self.pipeline

    def spec(self) -> dict[str, Any]:
        """All that changes its samples but for its content; a folder's place is not in it."""
        rest = {"call": dict(self.call), "scheduler": dict(self.scheduler), "view": dict(self.view), "rate": self.rate}
        return {"pipeline": self.pipeline, "class": self.class_name, **rest}


@dataclass(frozen=True)
class PairDescription:
    """Two pipelines and how they are guided together.

    Attributes:
        name: What the pair is called.
        video: The text-to-video pipeline.
        audio: The text-to-audio pipeline.
        joint_scale: Weights of the discriminator's gradient on video and sound.
        path: Which half moves when (`mmbench.mmdisco.lockstep.generate`).
        discriminator: channels and num_blocks of its discriminators, where they are not the paper's.
    """

    name: str
    video: HalfDescription
    audio: HalfDescription
    joint_scale: tuple[float, float] = (1.0, 1.0)
    path: str = "fraction"
    discriminator: Mapping[str, int] = field(default_factory=dict)

    @property
    def halves(self) -> tuple[HalfDescription, HalfDescription]:
        """Video and audio."""
        return self.video, self.audio


def of_latents(contents: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a discriminator depends on: of `HalfDescription.spec`, with contents, all but steps and text guidance."""
    kept = []
    for about in contents.values():
        call = {key: value for key, value in about["call"].items() if key not in NOT_OF_LATENTS}
        kept.append({**about, "call": call})
    return kept


def place_halves(described: PairDescription, given: Mapping[str, str], untrained: bool) -> PairDescription:
    """The description with places and commits that a user gave beside it.

    Args:
        described: Of the pair.
        given: video and audio, each a folder or repository instead of the description's; video_revision and
            audio_revision, commits; "" for what is not given.
        untrained: Whether a half without a folder is built from its class, so that no repository is read.

    Raises:
        UsageError: A repository without a commit, so that other weights could hide under its name tomorrow, or one
            that would not be read; a half without place or class.
    """
    halves = []
    for table, half in zip(("video", "audio"), described.halves, strict=True):
        source, revision = given[table], given[f"{table}_revision"]
        if source:
            folder = path if (path := expand_user(source)).is_dir() else None
            half = replace(half, pipeline="" if folder else source, folder=folder, revision="")
        if half.folder is None and untrained:
            _require_unread(described.name, table, half, source or revision)
        elif half.folder is None:
            half = replace(half, revision=revision or half.revision)
            _require_commit(described.name, table, half)
        halves.append(half)
    return replace(described, video=halves[0], audio=halves[1])


def _require_commit(pair: str, table: str, half: HalfDescription) -> None:
    """Raise UsageError unless a half names a repository and its commit."""
    if not half.pipeline:
        found = f"{pair}: [{table}] names no pipeline."
        wanted = f"a {half.class_name or 'pipeline'} in a folder, as save_pretrained writes it, or of the hub"
        raise UsageError(found, wanted, f"--set {table}=FOLDER")
    if not is_commit(half.revision):
        found = f"{pair}: the commit of {half.pipeline} is {half.revision!r}."
        wanted = "a commit of 40 hex digits, as its page shows, for a branch would name other weights tomorrow"
        raise UsageError(found, wanted, f"--set {table}_revision=COMMIT, or --set {table}=FOLDER")


def _require_unread(pair: str, table: str, half: HalfDescription, given: str) -> None:
    """Raise UsageError unless a half can be built from its class, and nothing was given that would not be read."""
    if given:
        found = f"{pair}: without trained weights [{table}] is built from its class, and {given} is not read."
        raise UsageError(found, "one of both", f"the same command without {given}")
    if not half.class_name:
        found = f"{pair}: [{table}] names no class, so nothing of it can be built untrained."
        raise UsageError(found, 'class = "WanPipeline" or another in its table', "--weights real")


def is_commit(value: Any) -> bool:
    """Whether a value is 40 hex digits."""
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9a-f]{40}", value))
