"""The file of a sweep: what was asked for, what became of every cell, and how runs differ from the pair alone.

One JSON object per line, of three kinds. Lines of older versions lack `kind` and are told by their keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.files import read_lines

Paired = dict[str, dict[str, dict[str, float]]]  # {run: {metric: {"value", "stderr"}}}
SETTINGS = ("weights", "options", "num_real", "num_fake", "training")  # of a line that asks, beside who and how many
AGAIN = "mmbench sweep as before"
KEY_OF_KIND = {"asked": "sweep", "outcome": "row", "differences": "differences"}  # a key that only this kind has


@dataclass(frozen=True)
class Asked:
    """What a sweep was asked for; one line per start, which also has its other options and its circumstances.

    Attributes:
        table: Name of the grid.
        system: The pair.
        dataset: Real pairs and prompts.
        n: Samples per run.
        seed: Of the runs.
        metrics: Columns, name.variant.
        time: When (UTC).
        settings: Of training and sampling: weights, options, num_real, num_fake, training, as far as the line has them.
    """

    table: str
    system: str
    dataset: str
    n: int
    seed: int
    metrics: tuple[str, ...]
    time: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        row: Label of its row.
        train_seed: Of its training; None where nothing is trained.
        status: "ok" or "failed".
        run: Id of its run; "" if it failed.
        reason: Why it failed, or what its run lacks.
        x: Where its row stands on the axis of a curve.
        steps: Of its training.
        discriminator: The weights that guided it.
        time: When (UTC).
        sample_seed: Of its run, where a sweep has several; else None.
    """

    row: str
    train_seed: int | None
    status: str
    run: str
    reason: str = ""
    x: float | None = None
    steps: int | None = None
    discriminator: str = ""
    time: str = ""
    sample_seed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The line."""
        seldom = ("steps", "discriminator", "sample_seed")
        return {"kind": "outcome"} | {k: v for k, v in vars(self).items() if v not in (None, "") or k not in seldom}

    @property
    def cell(self) -> tuple[str, int | None, int | None]:
        """The cell: row, training seed, and seed of the run where a sweep has several."""
        return self.row, self.train_seed, self.sample_seed


@dataclass(frozen=True)
class Differences:
    """Paired differences of runs to the pair alone, as far as they were known when the line was written."""

    differences: Paired

    def to_json(self) -> dict[str, Any]:
        """The line."""
        return {"kind": "differences", "differences": self.differences}


@dataclass(frozen=True)
class SweepLog:
    """What the file of a sweep says at last.

    Attributes:
        name: The sweep; its file is called so.
        asked: What it was asked for at last; None if never.
        outcomes: What became of each cell at last, by row, training seed, and seed of the run where there are several.
        differences: All that were written down; later lines replace earlier ones.
    """

    name: str
    asked: Asked | None = None
    outcomes: dict[tuple[str, int | None, int | None], Outcome] = field(default_factory=dict)
    differences: Paired = field(default_factory=dict)

    @property
    def request(self) -> Asked:
        """What it was asked for; raises MMBenchError for a file that is not of a sweep."""
        if self.asked is None:
            expected = "lines as mmbench sweep wrote them"
            raise MMBenchError(f"{self.name}.jsonl is not of a sweep.", expected, f"rm {self.name}.jsonl")
        return self.asked


def read_log(file: Path) -> SweepLog:
    """What the file of a sweep says; of a missing file nothing.

    Raises:
        IntegrityError: A line is damaged; names it.
    """
    return parse_log(file.stem, read_lines(file, AGAIN), str(file))


def parse_log(name: str, lines: Sequence[Mapping[str, Any]], origin: str) -> SweepLog:
    """What the lines of a sweep say; `origin` names where they stand, for errors."""
    asked, outcomes, differences = None, dict[tuple[str, int | None, int | None], Outcome](), Paired()
    for number, line in enumerate(lines, start=1):
        try:
            parsed = _parse_line(line)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _damaged(f"{origin} line {number}", error) from error
        if isinstance(parsed, Outcome):
            outcomes[parsed.cell] = parsed
        elif isinstance(parsed, Differences):
            differences |= parsed.differences
        else:
            asked = parsed
    return SweepLog(name, asked, outcomes, differences)


def _parse_line(line: Mapping[str, Any]) -> Asked | Outcome | Differences:
    """One line by its kind."""
    kind = line.get("kind") or next((kind for kind, key in KEY_OF_KIND.items() if key in line), "")
    if kind == "outcome":
        return Outcome(**{k: v for k, v in line.items() if k != "kind"})
    if kind == "differences":
        return Differences(dict(line["differences"]))
    if kind == "asked":
        known = {k: line[k] for k in ("table", "system", "dataset", "n", "seed")}
        settings = {k: line[k] for k in SETTINGS if k in line}
        return Asked(**known, metrics=tuple(line["metrics"]), time=str(line["time"]), settings=settings)
    raise ValueError(f"a line with the keys {', '.join(line)} is of no sweep")


def _damaged(where: str, error: Exception) -> IntegrityError:
    next = f"delete that line, then {AGAIN}: nothing else is lost"
    return IntegrityError(f"{where} is corrupt: {error}.", "one JSON object as mmbench wrote it", next)
