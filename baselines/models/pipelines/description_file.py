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
discriminator = {channels = 256, num_blocks = 4}  # of those that are trained, where not the paper's
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmbench.baselines.models.pipelines.description import HalfDescription, PairDescription, is_commit
from mmbench.errors import UsageError
from mmbench.files import expand_user
from mmbench.media.regular_files import read_regular

OWN_OF_CALL = ("prompt", "latents", "generator", "output_type", "return_dict")  # what the harness gives
OF_VIEW = ("layout", "grid", "start", "stop", "unshuffle")  # fields of `views.View`, whose file needs torch
RATES = (("video", "fps"), ("audio", "sample_rate"))  # tables, and what their rates are called
DOCS = "docs/pairs.md"


def read_description(path: Path) -> PairDescription:
    """The description in a TOML file, checked; nothing is loaded.

    Raises:
        UsageError: No such file, not TOML, or a key that is missing, unknown or of the wrong kind.
    """
    try:
        found = tomllib.loads(read_regular(path).decode())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "a TOML file", "pipelines:FILE.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.", f"tables video and audio, as in {DOCS}") from error
    _refuse_unknown(path, "", found, ("name", "video", "audio", "guidance"))
    name = _take(path, "", found, "name", path.stem, _is_name, "letters, digits, _ . and -")
    video, audio = (_read_half(path, table, found, rate) for table, rate in RATES)
    guidance = _table(path, "guidance", found, required=False)
    _refuse_unknown(path, "guidance", guidance, ("joint_scale", "path", "discriminator"))
    scale = _take(path, "guidance", guidance, "joint_scale", [1.0, 1.0], _is_two_numbers, "two numbers, video's first")
    how = _take(path, "guidance", guidance, "path", "fraction", _is_text, "the name of a path, as fraction")
    sizes = _take(path, "guidance", guidance, "discriminator", {}, _is_sizes, "a table of whole numbers from 1")
    _refuse_unknown(path, "guidance", sizes, ("channels", "num_blocks"))
    return PairDescription(name, video, audio, (float(scale[0]), float(scale[1])), how, sizes)


def _read_half(path: Path, table: str, found: Mapping[str, Any], rate: str) -> HalfDescription:
    """The description of one pipeline in its table; `rate` is the name of its frame or sample rate."""
    given = _table(path, table, found)
    _refuse_unknown(path, table, given, ("pipeline", "revision", "folder", "class", "call", "scheduler", "view", rate))

    def take(key: str, default: Any, fits: Any, wanted: str) -> Any:
        return _take(path, table, given, key, default, fits, wanted)

    pipeline = take("pipeline", "", _is_text, 'a repository of the hub, as "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"')
    folder = take("folder", "", _is_text, "a folder as save_pretrained writes it")
    if pipeline and folder:
        wanted = "one of them, the repository or the folder"
        raise UsageError(f"{path}: [{table}] has both pipeline and folder.", wanted, f"see {DOCS}")
    call = take("call", {}, _is_table, "a table of arguments of the pipeline's call")
    if taken := [key for key in call if key in OWN_OF_CALL]:
        raise UsageError(f"{path}: [{table}] call gives {taken[0]}.", "what is no sample's own", f"see {DOCS}")
    view = take("view", {}, _is_table, "a table of what a discriminator sees")
    _refuse_unknown(path, f"{table}.view", view, OF_VIEW)
    return HalfDescription(
        pipeline=pipeline,
        revision=take("revision", "", is_commit, "a commit of 40 hex digits, as the repository's page shows"),
        folder=path.parent / expand_user(folder) if folder else None,
        class_name=take("class", "", _is_text, 'a class of diffusers, as "WanPipeline"'),
        call=call,
        scheduler=take("scheduler", {}, _is_table, "a table of what is changed in the scheduler's configuration"),
        view=view,
        rate=take(rate, 0, _is_positive, "a number above 0"),
    )


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


def _is_sizes(value: Any) -> bool:
    return isinstance(value, dict) and all(type(v) is int and v > 0 for v in value.values())


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and value > 0


def _is_two_numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)
