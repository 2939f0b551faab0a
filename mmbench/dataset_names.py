"""Names of datasets as users type them: NAME, NAME:PATH, and options after a question mark.

`vggsound:data/vggsound?seconds=8&fps=25&size=256` is VGGSound in clips of 8 s. Options in `SHAPE` ask for
another shape of the clips; others are a dataset's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mmbench.errors import UsageError

SHAPE = (
    "seconds",
    "fps",
    "size",
    "sample_rate",
)  # what may be asked of clips, as ClipFormat.changed takes it
OPTION = r"\w+=[^&?=]*"
QUERY = re.compile(rf"(.*?)\?({OPTION}(?:&{OPTION})*)", re.DOTALL)


@dataclass(frozen=True)
class DatasetName:
    """A parsed name: `base` is registered, `argument` follows the colon, `options` the question mark."""

    base: str
    argument: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> dict[str, Any]:
        """Of the options those that ask for another shape of the clips."""
        return {name: value for name, value in self.options.items() if name in SHAPE}

    def at(self, path: str) -> DatasetName:
        """The same dataset at another path."""
        return DatasetName(self.base, path, self.options)

    def __str__(self) -> str:
        options = "&".join(f"{name}={value}" for name, value in self.options.items())
        return self.base + f":{self.argument}" * bool(self.argument) + f"?{options}" * bool(options)


def parse_dataset_name(text: str) -> DatasetName:
    """Read NAME, NAME:PATH, NAME?OPTION=VALUE&OPTION=VALUE or NAME:PATH?OPTION=VALUE.

    A question mark that no option follows belongs to the path.

    Raises:
        UsageError: One option twice.
    """
    match = QUERY.fullmatch(text)
    base, _, argument = (match[1] if match else text).partition(":")
    options: dict[str, Any] = {}
    for part in match[2].split("&") if match else ():
        name, _, value = part.partition("=")
        if name in options:
            raise UsageError(f"--dataset {text!r} has {name} twice.", "each option once", f"--dataset '{base}?{part}'")
        options[name] = _number(value)
    return DatasetName(base, argument, options)


def published_name(text: str) -> str:
    """The registered name of a dataset whose clips have their usual shape, else the text: to tables another dataset."""
    name = parse_dataset_name(text)
    return text if name.shape else name.base


def _number(text: str) -> int | float | str:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
