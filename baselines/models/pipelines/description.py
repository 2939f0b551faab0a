"""A pair of pipelines as a TOML file describes it.

name = "my_pair"                                  # the file's name unless given

[video]
pipeline = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"     # of the Hugging Face hub, with its commit,
revision = "<40 hex digits>"
# folder = "my_wan"                               # or a folder as save_pretrained writes it, seen from this file
class = "WanPipeline"                             # what it must turn out to be; needed for size=tiny
call = {height = 480, width = 832, num_frames = 33, num_inference_steps = 50, guidance_scale = 5.0}
scheduler = {flow_shift = 3.0}                    # of its scheduler's configuration, changed
view = {unshuffle = 2}                            # what a discriminator sees of the latents (`views`)
fps = 16                                          # frames per second

[audio]                                           # the same keys, with sample_rate [Hz] for fps, if it does not say
pipeline = "stabilityai/stable-audio-open-1.0"
revision = "<40 hex digits>"
call = {audio_end_in_s = 2.0, num_inference_steps = 100, guidance_scale = 7.0}

[guidance]
joint_scale = [1.0, 1.0]                          # weights of the discriminator's gradient on video and sound
path = "fraction"                                 # which half moves when: `mmbench.mmdisco.lockstep`
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmbench.errors import UsageError

OWN_OF_CALL = ("prompt", "latents", "generator", "output_type", "return_dict")  # what the harness gives
NOT_OF_LATENTS = ("num_inference_steps", "guidance_scale", "negative_prompt")  # of a call: a discriminator serves any
DOCS = "docs/pairs.md"


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
    """

    name: str
    video: HalfDescription
    audio: HalfDescription
    joint_scale: tuple[float, float] = (1.0, 1.0)
    path: str = "fraction"

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


def read_description(path: Path) -> PairDescription:
    """The description in a TOML file, checked; nothing is loaded.

    Raises:
        UsageError: No such file, not TOML, or a key that is missing, unknown or of the wrong kind.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "a TOML file", "pipelines:FILE.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.", f"tables video and audio, as in {DOCS}") from error
    _refuse_unknown(path, "", found, ("name", "video", "audio", "guidance"))
    name = _take(path, "", found, "name", path.stem, _is_name, "letters, digits, _ . and -")
    halves = [_read_half(path, table, found, rate) for table, rate in (("video", "fps"), ("audio", "sample_rate"))]
    guidance = _table(path, "guidance", found, required=False)
    _refuse_unknown(path, "guidance", guidance, ("joint_scale", "path"))
    scale = _take(path, "guidance", guidance, "joint_scale", [1.0, 1.0], _is_two_numbers, "two numbers, video's first")
    how = _take(path, "guidance", guidance, "path", "fraction", _is_text, "the name of a path, as fraction")
    return PairDescription(name, *halves, (float(scale[0]), float(scale[1])), how)


def _read_half(path: Path, table: str, found: Mapping[str, Any], rate: str) -> HalfDescription:
    """The description of one pipeline in its table; `rate` is the name of its frame or sample rate."""
    given = _table(path, table, found)
    _refuse_unknown(path, table, given, ("pipeline", "revision", "folder", "class", "call", "scheduler", "view", rate))

    def take(key: str, default: Any, fits: Any, wanted: str) -> Any:
        return _take(path, table, given, key, default, fits, wanted)

    pipeline = take("pipeline", "", _is_text, 'a repository of the hub, as "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"')
    folder = take("folder", "", _is_text, "a folder as save_pretrained writes it")
    if pipeline and folder:
        found = f"{path}: [{table}] has both pipeline and folder."
        raise UsageError(found, "one of them, the repository or the folder", f"see {DOCS}")
    call = take("call", {}, _is_table, "a table of arguments of the pipeline's call")
    if taken := [key for key in call if key in OWN_OF_CALL]:
        raise UsageError(
            f"{path}: [{table}] call gives {taken[0]}.", "nothing that is each sample's own", f"see {DOCS}"
        )
    return HalfDescription(
        pipeline=pipeline,
        revision=take("revision", "", is_commit, "a commit of 40 hex digits, as the repository's page shows"),
        folder=path.parent / Path(folder).expanduser() if folder else None,
        class_name=take("class", "", _is_text, 'a class of diffusers, as "WanPipeline"'),
        call=call,
        scheduler=take("scheduler", {}, _is_table, "a table of what is changed in the scheduler's configuration"),
        view=take("view", {}, _is_table, "a table of what a discriminator sees"),
        rate=take(rate, 0, _is_positive, "a number above 0"),
    )


def require_commits(description: PairDescription, given: Mapping[str, str]) -> PairDescription:
    """The description with commits and places that a user gave beside it.

    Args:
        description: Of the pair.
        given: video and audio, each a folder or repository instead of the description's; video_revision and
            audio_revision, commits; "" for what is not given.

    Raises:
        UsageError: A repository without a commit, so that other weights could hide under its name tomorrow.
    """
    halves = {}
    for table, half in zip(("video", "audio"), description.halves, strict=True):
        if source := given[table]:
            place = Path(source).expanduser()
            here = {"folder": place, "pipeline": ""} if place.is_dir() else {"folder": None, "pipeline": source}
            half = replace(half, revision="", **here)  # type: ignore[arg-type]
        revision = given[f"{table}_revision"] or half.revision
        if not half.source:
            found = f"{description.name}: [{table}] names no pipeline."
            wanted = f"a {half.class_name or 'pipeline'} in a folder, as save_pretrained writes it, or of the hub"
            raise UsageError(
                found, wanted, f"--set {table}=FOLDER, or --set {table}=REPO --set {table}_revision=COMMIT"
            )
        if half.folder is None and not is_commit(revision):
            found = f"{description.name}: the commit of {half.pipeline} is {revision!r}."
            wanted = "a commit of 40 hex digits, as its page shows, for a branch would name other weights tomorrow"
            raise UsageError(found, wanted, f"--set {table}_revision=COMMIT, or --set {table}=FOLDER")
        halves[table] = replace(half, revision="" if half.folder else revision)
    return replace(description, **halves)  # type: ignore[arg-type]


def is_commit(value: Any) -> bool:
    """Whether a value is 40 hex digits."""
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9a-f]{40}", value))


def _table(path: Path, name: str, found: Mapping[str, Any], required: bool = True) -> Mapping[str, Any]:
    table = found.get(name, None if required else {})
    if not isinstance(table, Mapping):
        raise UsageError(f"{path}: {name} is {table!r}.", f"a table [{name}]", f"see {DOCS}")
    return table


def _take(path: Path, table: str, given: Mapping[str, Any], key: str, default: Any, fits: Any, wanted: str) -> Any:
    """The value of a key, checked; `default` where it is not given."""
    if key not in given:
        return default
    if not fits(given[key]):
        raise UsageError(f"{path}: {f'[{table}] ' * bool(table)}{key} is {given[key]!r}.", wanted, f"see {DOCS}")
    return given[key]


def _refuse_unknown(path: Path, table: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise UsageError if a table has a key that is not among the known ones; says which is near."""
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            where = f"[{table}] " * bool(table)
            raise UsageError(f"{path}: {where}has the key {key!r}.", f"{hint}one of {', '.join(known)}", f"see {DOCS}")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*", value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and value > 0


def _is_two_numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)
