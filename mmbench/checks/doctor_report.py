"""What `mmbench doctor` prints: what is wrong first, each with what to type, then in short what is fine."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDEST = 100  # characters of a line, however wide the terminal is
FETCH = "mmbench weights fetch "
HEADINGS = {
    "broken": "Broken",
    "missing": "Not here; needed only for what is named",
    "ok": "Fine",
}


def report_lines(rows: Sequence[Mapping[str, Any]], width: int, everything: bool = False) -> list[str]:
    """The checks as lines of text.

    Args:
        rows: As `examine_installation` gives them, what is wrong first.
        width: Characters of a line; a path or a command that is longer has a line for itself.
        everything: Also say what was found by the checks that are fine.
    """
    width = min(width, WIDEST)
    lines: list[str] = []
    for status, heading in HEADINGS.items():
        of_status = [row for row in rows if row["status"] == status]
        if not of_status:
            continue
        lines += ["", f"{heading} ({len(of_status)})"] if lines else [f"{heading} ({len(of_status)})"]
        if status == "ok" and not everything:
            lines += _folded(", ".join(row["check"] for row in of_status), width, "  ")
            lines += ["  What was found: mmbench doctor --all"]
            continue
        fetched = [row for row in of_status if row["next"].startswith(FETCH)]
        lines += [line for row in of_status if row not in fetched for line in _entry(row, width)]
        if fetched:
            lines.append(f"  weights, each by: {FETCH}NAME")
            names = [row["check"].partition(" ")[2] for row in fetched]
            column = max(map(len, names)) + 2
            for name, row in zip(names, fetched, strict=True):
                lines += _folded(row["found"], width, f"    {name:<{column}}", " " * (column + 4))
    return lines


def _entry(row: Mapping[str, Any], width: int) -> list[str]:
    """One check: its name and what was found, and below it what to type."""
    name = row["check"].rpartition(" ")[2]  # which some say again: "dataset vggsound", "vggsound: ..."
    lines = _folded(row["found"].removeprefix(f"{name}: "), width, f"  {row['check']}: ", "    ")
    return [*lines, *_folded(row["next"], width, "    try: ", "      ")] if row["next"] else lines


def _folded(text: str, width: int, first: str, rest: str | None = None) -> list[str]:
    """Text in lines of at most `width` characters, broken between words only."""
    return textwrap.wrap(
        text.replace(f"{Path.home()}/", "~/"),
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
