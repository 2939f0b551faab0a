"""Reads submissions; a file with one line that cannot be trusted is refused as a whole, every such line by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.leaderboard.faults import find_author_faults, find_record_faults, find_sample_faults, require_fields
from mmbench.leaderboard.protocol import protocol_of
from mmbench.leaderboard.submission import FORMAT_VERSION, Author, Entry, Line, Sample, digest_dataset
from mmbench.runs.requests import line_digest
from mmbench.runs.spec import RunSpec
from mmbench.scores.records import parse_record

LARGEST = 2**28  # bytes of a file: ten metrics of 100,000 samples are below


def read_submission(path: Path, name: str = "") -> tuple[list[Entry], list[str]]:
    """The entries of a submission, and what of it is refused: every line with the reason; nothing of it counts then.

    Args:
        path: The file.
        name: What it is called in `origin` and in reasons; its path by default.
    """
    reader = _Reader(name or str(path))
    try:
        if path.stat().st_size > LARGEST:
            return [], [f"{reader.name} has {path.stat().st_size:,} bytes, more than {LARGEST:,}"]
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"{reader.name} cannot be read: {error}"]
    refused = []
    for number, text in enumerate(lines, start=1):
        try:
            faults = reader.take(number, text)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            faults = [f"{type(error).__name__}: {error}"]
        except MMBenchError as error:
            faults = [error.found]
        refused += [f"{reader.name} line {number}: {fault}" for fault in faults]
        if reader.author is None:  # whatever follows, nobody sent it
            break
    if not refused and not reader.entries:
        refused = [f"{reader.name} holds no record"]
    elif not refused and reader.num_lines != len(lines) - 1:
        found = f"{reader.name} has {len(lines) - 1} lines below its first"
        refused = [f"{found}, which says {reader.num_lines}: something was cut off or added"]
    return reader.entries, refused


def refuse(reasons: Sequence[str]) -> NoReturn:
    """Raise the error of what does not go on a leaderboard, a line for each reason."""
    count = f"{len(reasons)} lines are" if len(reasons) > 1 else "One line is"
    raise IntegrityError(
        f"{count} refused, nothing was written:{list_reasons(reasons)}",
        "files of mmbench leaderboard export, as they were written",
        "mmbench leaderboard export RUN --team TEAM --licence LICENCE --to FILE",
    )


def list_reasons(reasons: Sequence[str]) -> str:
    """Reasons below each other, with escapes for what of somebody's text would act on a terminal."""
    escaped = ("".join(c if c.isprintable() else ascii(c)[1:-1] for c in reason) for reason in reasons)
    return "".join(f"\n  {reason}" for reason in escaped)


class _Reader:
    """Takes the lines of a submission one by one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.num_lines = -1
        self.entries: list[Entry] = []
        self.author: Author | None = None
        self._runs: dict[str, tuple[RunSpec, str]] = {}

    def take(self, number: int, text: str) -> list[str]:
        """Read a line; gives what is wrong with it."""
        line = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once)
        if not isinstance(line, dict) or "kind" not in line:
            return ["no line of a submission: records alone do not say whose they are"]
        stated = line.pop("sha256", None)
        if stated != line_digest(line):
            return ["it was changed: its checksum is not that of its content"]
        kind = line.pop("kind")
        if kind == "submission" and number == 1:
            return self._take_head(line)
        if self.author is None:
            return ["a submission begins with the line that says whose it is"]
        if kind == "run":
            return self._take_run(line)
        return self._take_record(number, line) if kind == "record" else [f"a line of kind {kind!r}"]

    def _take_head(self, line: Line) -> list[str]:
        if line.pop("format") != FORMAT_VERSION:
            return [f"another format than {FORMAT_VERSION}, which this version of mmbench reads"]
        self.num_lines = line.pop("lines")
        self.author = Author(**line)
        return find_author_faults(self.author)

    def _take_run(self, line: Line) -> list[str]:
        stated = line.pop("dataset_digest")
        run = RunSpec.from_json(line, Path(self.name))
        if run.to_json() != line:
            return ["its name is not that of its system, dataset and digest"]
        about = run.spec.get("dataset")
        if isinstance(about, Mapping) and digest_dataset(about) != stated:
            return ["its dataset has another digest than it says"]
        self._runs[run.run_id] = run, str(stated)
        return []

    def _take_record(self, number: int, line: Line) -> list[str]:
        if line["run"] not in self._runs:
            return [f"its run {line['run']} is not above it"]
        require_fields(line["record"])
        run, dataset = self._runs[line["run"]]
        samples = None if line["samples"] is None else tuple(Sample(**sample) for sample in line["samples"])
        record = parse_record(line["record"])
        origin = f"{self.name} line {number}"
        assert self.author is not None
        entry = Entry(self.author, run, record, dataset, str(line["prompts"]), str(line["clips"]), samples, origin)
        protocol_of(entry)  # here, so that a name that is none is found at its line
        self.entries.append(entry)
        return [*find_record_faults(record, run), *find_sample_faults(entry)]


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _once(pairs: Sequence[tuple[str, Any]]) -> Line:
    """An object, refused where a key stands twice: readers differ in which they take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
