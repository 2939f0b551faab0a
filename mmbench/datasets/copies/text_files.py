"""Text files that users write, prompts above all: read whole, or refused with what to type."""

from __future__ import annotations

import csv
import shlex
from io import StringIO
from pathlib import Path

from mmbench.errors import UsageError
from mmbench.media.regular_files import read_regular


def read_text(path: Path, expected: str) -> str:
    """The text of a file in UTF-8, with or without its mark, every line ending as a newline.

    Args:
        path: The file.
        expected: What it should be, for errors.

    Raises:
        UsageError: It cannot be read, is no file, larger than any table of prompts, or in another encoding; says how
            to convert it.
    """
    place = shlex.quote(str(path))
    try:
        data = read_regular(path)
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        found = f"{path} cannot be read: {error.strerror}."
        raise UsageError(found, expected, f"ls {shlex.quote(str(path.parent))}") from None
    except UnicodeDecodeError as error:
        marked = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        found = f"{path} is not in UTF-8: byte {error.object[error.start]:#04x} at {error.start}."
        convert = f"iconv -f {'UTF-16' if marked else 'WINDOWS-1252'} -t UTF-8 {place} > {place}.utf8"
        raise UsageError(found, f"{expected}, in UTF-8", f"{convert} && mv {place}.utf8 {place}") from None


def read_csv(path: Path, delimiter: str = ",") -> tuple[list[str], list[dict[str, str]]]:
    """Names of the columns and the rows of a table; a cell that a short row lacks is no key of it.

    Raises:
        UsageError: What `read_text` refuses, quotes that do not match, or a row with more cells than columns, as an
            unquoted comma in a prompt makes: the rest of the prompt would be lost.
    """
    text = read_text(path, "a table with a first line of names")
    quoting = 'cells in "double quotes", quotes in them doubled'
    show = f"head -3 {shlex.quote(str(path))}"
    reader = csv.DictReader(StringIO(text), delimiter=delimiter, strict=True)
    rows: list[dict[str, str]] = []
    try:
        for row in reader:
            if "".join(more := row.pop(None, None) or []).strip():
                last = list(row.values())[-1]
                found = f"{path} line {reader.line_num} has more cells than columns: {delimiter.join([last, *more])!r}."
                raise UsageError(found, quoting, show)
            rows.append({name: cell for name, cell in row.items() if cell is not None})
    except csv.Error as error:
        found = f"{path} is damaged in the row that begins in line {reader.line_num + 1}: {error}."
        raise UsageError(found, quoting, show) from None
    return list(reader.fieldnames or []), rows
