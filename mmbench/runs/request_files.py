"""Lists of requests in files, JSON lines or CSV: written once, read with every line checked."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.files import write_whole
from mmbench.media.regular_files import open_regular
from mmbench.runs.requests import RequestLine, line_digest

SUFFIXES = (".jsonl", ".csv")
COLUMNS = tuple(field.name for field in fields(RequestLine))


def write_requests(path: Path, lines: Iterable[RequestLine]) -> bool:
    """Write requests line by line as JSON lines or CSV, by the file's suffix.

    Args:
        path: The file. One that holds the same stays as it is.
        lines: The requests; no more than one of them is held.

    Returns:
        Whether it was written; False if it was there.

    Raises:
        UsageError: Neither .jsonl nor .csv, or another file is there.
        MMBenchError: It cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is to hold requests.", " or ".join(SUFFIXES), f"--out {path.stem}.jsonl")
    is_csv = path.suffix.lower() == ".csv"
    if path.exists():
        if not path.is_file() or not _holds(path, _texts(lines, is_csv)):
            found = f"{path} is there and is another {'file' if path.is_file() else 'thing: a folder'}."
            raise UsageError(
                found, "a new file; nothing is overwritten", f"--out {path.with_name(f'{path.stem}_2{path.suffix}')}"
            )
        return False

    def write(beside: Path) -> None:
        with beside.open("w", encoding="utf-8", newline="") as file:
            file.writelines(_texts(lines, is_csv))

    try:
        write_whole(path, write)
    except OSError as error:
        remedy = f"mkdir -p {shlex.quote(str(path.parent))}" if not path.parent.exists() else f"ls -ld {path.parent}"
        raise MMBenchError(f"{path} cannot be written: {error.strerror}.", "a folder to write to", remedy) from error
    return True


def _texts(lines: Iterable[RequestLine], is_csv: bool) -> Iterator[str]:
    """The file's text, piece by piece."""
    if not is_csv:
        yield from (json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in lines)
        return
    yield ",".join(COLUMNS) + "\n"
    for line in lines:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(asdict(line).values())
        yield text.getvalue()


def _holds(path: Path, texts: Iterable[str]) -> bool:
    """Whether a file holds this text and no more, read piece by piece."""
    with path.open("rb") as file:
        for text in texts:
            expected = text.encode()
            if file.read(len(expected)) != expected:
                return False
        return not file.read(1)


def read_requests(path: Path) -> list[RequestLine]:
    """The requests of a file that `write_requests` wrote.

    Raises:
        UsageError: No such file, one of another kind, or one without a request.
        IntegrityError: A line is not as it was written; names it.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file.", "a list of requests", f"mmbench prompts --out {path}")
    if not is_requests(path):
        raise UsageError(f"{path} is no list of requests.", ",".join(COLUMNS), "mmbench prompts --out requests.jsonl")
    lines: list[RequestLine] = []
    for number, row in _rows(path):
        try:
            values = {field.name: _KINDS[field.type](row[field.name]) for field in fields(RequestLine)}
            line = RequestLine(**values)
            intact = line_digest({k: v for k, v in values.items() if k != "sha256"}) == line.sha256
        except (KeyError, TypeError, ValueError):
            intact = False
        if not intact or line.index != len(lines):
            found = f"{path} line {number} is not as mmbench wrote it."
            raise IntegrityError(found, "a list of requests that nobody changed", "mmbench prompts --out FILE.jsonl")
        lines.append(line)
    if not lines:
        raise UsageError(f"{path} lists no request.", "at least one", "mmbench prompts --out requests.jsonl")
    return lines


_KINDS: Mapping[Any, Any] = {"str": str, "int": int, "float": float}  # CSV has text alone


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        if path.suffix.lower() == ".csv":
            rows = csv.DictReader(file)
            for row in rows:
                yield rows.line_num, row
            return
        for number, text in enumerate(file, start=1):
            try:
                row = json.loads(text)
            except ValueError:
                row = {}
            yield number, row if isinstance(row, dict) else {}


def is_requests(path: Path) -> bool:
    """Whether a file is a list of requests, by its first line."""
    if not path.is_file():
        return False  # a pipe would be waited for
    try:
        with open_regular(path) as file:
            first = file.readline(1 << 20).decode("utf-8-sig").strip()
        names = first.split(",") if path.suffix.lower() == ".csv" else json.loads(first)
        return set(COLUMNS) <= set(names)
    except (ValueError, OSError, TypeError):
        return False


def find_requests(folder: Path) -> Path | None:
    """The list of requests in a folder of clips, whatever it is called; None without one.

    Raises:
        UsageError: There are several.
    """
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and is_requests(p)]
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise UsageError(f"{folder} holds several lists of requests: {names}.", "one", f"--requests {found[0]}")
    return found[0] if found else None
