"""The file of a sweep: lines of what was asked, what became of every cell, and how runs differ from the pair alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Lines of a sweep's file.

    Raises:
        IntegrityError: One is damaged; names it.
    """
    lines = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file.exists() else [], start=1):
        try:
            lines.append(json.loads(line))
        except ValueError as error:
            next = f"delete line {number}, then mmbench sweep again: nothing else is lost"
            raise IntegrityError(f"{file} line {number} is corrupt: {error}.", "one JSON object", next) from error
    return lines


def outcomes(file: Path) -> dict[tuple[str, int | None], dict[str, Any]]:
    """What became of each cell at last, by row and training seed."""
    return {(line["row"], line["train_seed"]): line for line in read_lines(file) if "row" in line}
