"""Pieces to lay out, and folders of empty files, which layouts read by their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.media.layouts.layout import Piece, Plan, Reading

HARD = (
    'a ball, "red", hits a wall',
    "rain / thunder",
    "eine Glocke läutet, 鐘が鳴る 🔔",
    "a long prompt " * 20 + "ends",
    "two\nlines",
    "a ball bounces",
    "a ball bounces",
    "A Ball Bounces",
    " spaces around ",
)


def pieces(texts: Sequence[str], **changes: Any) -> list[Piece]:
    """A piece per prompt, of 8 s, with sound."""
    given = {"seconds": 8.0, "has_sound": True} | changes
    return [Piece(i, f"prompt-{i}", text, **given) for i, text in enumerate(texts)]


def put(folder: Path, plan: Plan) -> Path:
    """The folder of a plan, with empty files for clips."""
    for place in plan.places:
        for file in filter(None, (place.video, place.sound)):
            touch(folder / file)
    for path, content in plan.tables.items():
        touch(folder / path).write_bytes(content)
    return folder


def touch(file: Path) -> Path:
    """An empty file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def texts_of(plan: Plan, reading: Reading, folder: Path) -> list[str]:
    """Prompts that were read, in the order of the plan's pieces."""
    by_file = {found.video.relative_to(folder).as_posix(): found.text for found in reading.found}
    return [by_file[place.video] for place in plan.places]
