"""Files of JSON lines that commands append to: whole, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError
from mmbench.files import read_lines


def read_objects(file: Path, command: str) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line.

    Args:
        file: Of lines.
        command: What wrote them, for an error.

    Raises:
        IntegrityError: A line is no JSON object; names it.
    """
    found = []
    for number, line in enumerate(read_lines(file), start=1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise _damaged(file, number, str(error), command) from error
        if not isinstance(value, dict):
            raise _damaged(file, number, "it is no object", command)
        found.append(value)
    return found


def _damaged(file: Path, number: int, why: str, command: str) -> IntegrityError:
    again = f"delete that line, then {command} again: nothing else is lost"
    return IntegrityError(f"{file} line {number} is corrupt: {why}.", "one JSON object", again)
