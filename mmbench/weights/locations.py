"""Where every checkpoint lies, and what to type where it does not.

Searched in this order: MMBENCH_WEIGHTS_<NAME> (a path), $MMBENCH_HOME/weights (default ~/.cache/mmbench/weights), and
./checkpoints as MMDisCo lays it out. What came from the Hugging Face hub is a link into the user's cache of it (`hub`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from mmbench.errors import MMBenchError, UsageError
from mmbench.files import expand_user
from mmbench.weights.known import KNOWN
from mmbench.weights.weight import HubSource, Weight

REQUIRE_DIGESTS = "MMBENCH_REQUIRE_DIGESTS"  # variable: no digest and no commit is trusted on first use
OFF = ("", "0", "false", "no", "off")


def home() -> Path:
    """The folder mmbench keeps its own files in: $MMBENCH_HOME, else mmbench in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expand_user(os.environ.get("MMBENCH_HOME") or f"{cache}/mmbench").absolute()


def is_on(variable: str) -> bool:
    """Whether an environment variable is set to anything but 0, false, no or off."""
    return os.environ.get(variable, "").lower() not in OFF


def entry(name: str) -> Weight:
    """The table's entry called `name`; UsageError with near names if there is none."""
    if name in KNOWN:
        return KNOWN[name]
    near = difflib.get_close_matches(name, KNOWN, n=3, cutoff=0.5)
    expected = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(KNOWN)}"
    raise UsageError(f"Unknown weights {name!r}.", expected, "mmbench weights list")


def locate(name: str) -> Path:
    """Where `name` lies; nothing is hashed (see `checkpoints.verify`).

    Raises:
        MMBenchError: It is nowhere; says which file is expected where, and how to get it.
    """
    weight = entry(name)
    if path := find(weight):
        return path
    found = f"The weights {name!r} ({weight.purpose}) are not here."
    raise MMBenchError(found, wanted_text(weight), remedy_for(weight))


def whereabouts(name: str, member: str = "") -> str:
    """Text for an error: what to type for the right file, and its address; `member` is a file of a folder."""
    weight = entry(name)
    source = weight.sources[0] if weight.sources else ""
    if source.startswith("hf://"):
        hub = HubSource.parse(source)
        kind = "datasets/" * hub.of_data
        source = f"https://huggingface.co/{kind}{hub.repository}/resolve/{hub.commit or 'main'}/{hub.file or member}"
    return f"{remedy_for(weight)}{f'; it is {source}' if source and weight.sha256 is None else ''}"


def find(weight: Weight) -> Path | None:
    """The first place at which a checkpoint lies; None if it is nowhere."""
    return next((path.absolute() for path in _candidates(weight) if path.exists()), None)


def overriding_path(weight: Weight) -> Path | None:
    """The path that the user's environment variable names, whether or not it is there; None without one."""
    path = os.environ.get(variable_of(weight))
    return expand_user(path).absolute() if path else None


def variable_of(weight: Weight) -> str:
    """The environment variable that says where a checkpoint is: MMBENCH_WEIGHTS_<NAME>."""
    return f"MMBENCH_WEIGHTS_{weight.name.upper()}"


def wanted_text(weight: Weight) -> str:
    """What an error says was expected: file names, size, folders."""
    size = f"{weight.bytes:,} bytes" if weight.bytes is not None else "size not published"
    if path := overriding_path(weight):
        return f"{path} ({size}), as {variable_of(weight)} says"
    return f"{' or '.join((weight.file, *weight.also))} ({size}) in {home() / 'weights'} or ./checkpoints"


def remedy_for(weight: Weight) -> str:
    """What an error says to do next for the right file."""
    if overriding_path(weight):
        return f"point {variable_of(weight)} at the right file, or unset it"
    return f"mmbench weights fetch {weight.name}" if weight.sources else f"download it by hand from {weight.page}"


def _candidates(weight: Weight) -> Iterator[Path]:
    if path := overriding_path(weight):
        yield path
        return
    for folder in (home() / "weights", Path("checkpoints")):
        yield from (folder / file for file in (weight.file, *weight.also))
    if weight.bytes is not None:  # by its name alone only where the size tells it from a namesake
        namesakes = sorted(Path("checkpoints").rglob(Path(weight.file).name))
        yield from (path for path in namesakes if path.is_file() and path.stat().st_size == weight.bytes)
