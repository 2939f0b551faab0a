"""What a media file may ask for before it is refused: pixels, memory, length, rates, time. Each limit can be raised.

A limit is set by a variable of the environment, so that processes inherit it; `--limit` of commands sets the variable.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf, isinf
from pathlib import Path

from mmbench.errors import MediaError, UsageError


@dataclass(frozen=True)
class Limit:
    """The most of something that a file may have.

    Attributes:
        variable: The environment variable that sets another.
        most: The default.
        what: What is limited, in the plural, with its unit.
    """

    variable: str
    most: float
    what: str


RAISES = "raises that"
LIMITS = {
    "pixels": Limit("MMBENCH_MAX_PIXELS", 8192 * 4320, "pixels in a picture"),
    "gib": Limit("MMBENCH_MAX_DECODED_GIB", 4, "GiB of decoded pictures and sound"),
    "seconds": Limit("MMBENCH_MAX_SECONDS", 3600, "seconds from its first to its last time stamp"),
    "packets": Limit("MMBENCH_MAX_PACKETS", 1_000_000, "packets"),
    "fps": Limit("MMBENCH_MAX_FPS", 1000, "frames per second"),
    "sample_rate": Limit("MMBENCH_MAX_SAMPLE_RATE", 768_000, "samples per second"),
    "decoding": Limit("MMBENCH_MAX_DECODE_SECONDS", 600, "seconds of decoding"),
}


def read_limit(name: str) -> float:
    """A limit as the environment sets it, else its default; raises UsageError where that is no number above 0."""
    limit = LIMITS[name]
    text = os.environ.get(limit.variable, "")
    return _parse(text, limit, f"export {limit.variable}=") if text else float(limit.most)


def _parse(text: str, limit: Limit, typed: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < inf:
        found = f"{typed.removeprefix('export ')}{text} is no limit."
        raise UsageError(found, f"the most {limit.what}, a number above 0", f"{typed}{limit.most:g}")
    return value


@contextmanager
def set_limits(texts: Sequence[str]) -> Iterator[None]:
    """Let limits be others for the block, here and in the processes that it starts.

    Args:
        texts: Each a name in `LIMITS`, "=" and a number: "seconds=7200".

    Raises:
        UsageError: No limit has this name, or it is no number above 0.
    """
    others: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in LIMITS:
            found = f"--limit {text}: no limit of media files is called {name!r}."
            raise UsageError(found, f"NAME=VALUE of {', '.join(LIMITS)}", f"--limit seconds={LIMITS['seconds'].most:g}")
        _parse(value, LIMITS[name], f"--limit {name}=")
        others[LIMITS[name].variable] = value
    before = {variable: os.environ.get(variable) for variable in others}
    os.environ.update(others)
    try:
        yield
    finally:
        for variable, value_before in before.items():
            if value_before is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value_before


def is_of_limit(reason: str) -> bool:
    """Whether a reason says that a limit was met: with another limit the file may be read."""
    return any(f"{limit.variable} {RAISES}" in reason for limit in LIMITS.values())


class Bounds:
    """The limits of one file while it is read; what goes beyond one is refused before it is allocated.

    Args:
        path: The file, for errors.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.most = path, {name: read_limit(name) for name in LIMITS}
        self._begun = time.monotonic()

    def check(self, name: str, value: float) -> None:
        """Raise MediaError if a file has more of something than is allowed; says what raises the limit."""
        if value > self.most[name]:
            limit, most = LIMITS[name], _number(self.most[name])
            amount = "" if isinf(value) else f"{_number(value)} {limit.what}, "
            words = f"{amount}more than {most}{'' if amount else f' {limit.what}'}"
            needed = 2 * self.most[name] if isinf(value) else max(value, 2 * self.most[name])  # more may follow
            option = f"--limit {name}={_number(needed)}"
            raise MediaError(
                f"{self.path} has {words}; {option} or {limit.variable} {RAISES}.",
                f"at most {most} {limit.what}",
                f"the same command with {option}, if the file is to be trusted",
            )

    def check_clock(self) -> None:
        """Raise MediaError if the file has been read for longer than is allowed."""
        self.check("decoding", time.monotonic() - self._begun)


def _number(value: float) -> str:
    return f"{ceil(value)}" if value >= 1000 else f"{value:.3g}"
