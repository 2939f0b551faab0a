"""What a layout is: names, folders and prompts as another benchmark reads them, and the way back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mmbench.errors import UsageError
from mmbench.media.regular_files import read_regular
from mmbench.media.sources import AUDIO_SUFFIXES, Rejected, natural_key

MISSING = frozenset(  # texts that pandas.read_csv takes for no value
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)


@dataclass(frozen=True)
class Piece:
    """One clip to lay out.

    Attributes:
        index: Its number in its run or folder; unique.
        id: Of its prompt, or the clip's own name; need not be unique.
        text: Its prompt.
        seconds: Length of its shorter half.
        has_sound: Whether it has any samples of sound.
    """

    index: int
    id: str
    text: str
    seconds: float
    has_sound: bool


@dataclass(frozen=True)
class Place:
    """Where a piece goes: paths below the export, "/" between folders; no `sound` where the tool wants no WAV."""

    piece: Piece
    video: str
    sound: str | None = None


@dataclass(frozen=True)
class Plan:
    """An export before anything is written.

    Attributes:
        places: One per piece, in their order.
        tables: Content of prompt files by path below the export.
        notes: What the reader must know of this export, a sentence each.
    """

    places: Sequence[Place]
    tables: Mapping[str, bytes]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """A clip of a folder in a layout: its name, its files, its prompt ("" for none)."""

    id: str
    video: Path
    sound: Path | None
    text: str


@dataclass(frozen=True)
class Reading:
    """What a folder in a layout holds, and which files of it the tool would not take."""

    found: Sequence[Found]
    rejected: Sequence[Rejected] = field(default_factory=list)


class Layout(Protocol):
    """How one benchmark wants its input."""

    name: str
    source: str  # owner/repo@commit

    def plan(self, pieces: Sequence[Piece]) -> Plan:
        """Names, folders and prompts; raises UsageError where the tool could not take the pieces."""
        ...

    def read(self, folder: Path, prompts: Path | None) -> Reading:
        """The clips of a folder; `prompts` is the tool's own prompt file (or folder), by default that of an export."""
        ...

    def is_certain(self, folder: Path) -> bool:
        """Whether the folder can be of no other layout."""
        ...

    def next_step(self, folder: str, plan: Plan) -> str:
        """What to type in the tool; `folder` is quoted for a shell."""
        ...


def csv_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """A CSV file with a line of names, quoted as pandas and csv read it."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().encode()


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file that has at least these columns; raises UsageError where it has not."""
    try:
        reader = csv.DictReader(io.StringIO(read_regular(path).decode("utf-8-sig"), newline=""))
        rows, names = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} is no CSV file: {said}.", "a CSV file in UTF-8", "--prompts FILE.csv") from error
    if not set(columns) <= set(names):
        raise UsageError(f"{path} has the columns {','.join(names)}.", ",".join(columns), "--prompts FILE.csv")
    for number, row in enumerate(rows, start=1):
        if more := [cell for cell in row.get(None) or () if cell.strip()]:  # the rest of the prompt would be lost
            found = f"{path}: row {number} has more cells than columns: {more[0]!r}."
            raise UsageError(found, 'cells in "double quotes", quotes in them doubled', "--prompts FILE.csv")
    return rows


def read_prompts_json(path: Path, kind: type, what: str) -> Any:
    """What a JSON file of prompts holds; UsageError where it is not JSON of this kind, which `what` says in words."""
    value = peek(path)
    if not isinstance(value, kind):
        raise UsageError(f"{path} holds no {what}.", f"a JSON file with {what}", "--prompts FILE.json")
    return value


def peek(path: Path) -> Any:
    """What a JSON file holds; None where there is none, or no JSON."""
    try:
        return json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return None


def media_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """What has one of these endings, lower case, and is not hidden, in natural order; it need be no regular file."""
    files = folder.iterdir() if folder.is_dir() else []
    kept = [f for f in files if f.suffix.lower() in suffixes and not f.name.startswith(".")]
    return sorted(kept, key=lambda f: natural_key(f.name))


def lone_sounds(sounds: Sequence[Path], stems: set[str]) -> list[Rejected]:
    """Sounds that no video goes with."""
    reason = "sound without a video of the same name"
    return [Rejected(str(s), reason) for s in sounds if s.suffix.lower() in AUDIO_SUFFIXES and s.stem not in stems]


def count_of(number: int, what: str, more: str = "s") -> str:
    """A number with its noun: 1 sample, 3 samples."""
    return f"{number} {what}{more if number != 1 else ''}"
