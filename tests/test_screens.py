"""docs/screens shows what commands print: no line wider than its terminal, no word or number broken."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from tests.commands import load_script
from tests.conftest import REPOSITORY

SCREENS = sorted((REPOSITORY / "docs" / "screens").rglob("*.txt"))
ADDRESS = re.compile(r"https?://\S+")


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """scripts/make_screens.py."""
    return load_script("make_screens")


def too_wide(text: str, columns: int) -> list[str]:
    """Lines wider than the terminal, but for addresses, which are not broken."""
    return [line for line in text.splitlines() if len(line) > columns and not ADDRESS.search(line)]


def broken_words(text: str) -> list[str]:
    """Words that go on in the next line of a table's cell: both parts touch their borders, and one is no word here."""
    found = []
    rows = [re.split("[│┃]", line)[1:-1] for line in text.splitlines()]
    known = Counter(re.split(r"[\s│┃,()]+", text))
    for above, below in pairwise(rows):
        blank = [not cell.strip() for cell in below]
        if len(above) != len(below) or not below or not (blank[0] or sum(blank) > len(blank) / 2):
            continue  # not the same row of the table going on
        for a, b in zip(above, below, strict=True):
            end, start = re.search(r"([^\s,()]+) $", a), re.match(r" ([^\s,()]+)", b)
            parts = (end[1], start[1]) if end and start else ()
            if any(known[part] == 1 for part in parts):
                found.append("".join(parts))
    return found


def test_a_broken_word_and_a_wide_line_are_found() -> None:
    assert broken_words("│ a    │ av_ali │\n│      │ gn     │") == ["av_align"]
    assert broken_words("│ tiny-s0-12 │ 3 │\n│ 34         │   │\n") == []  # two columns: cannot be told from two rows
    assert broken_words("│ tiny-s0-12 │ 3 │ 4 │\n│ 34         │   │   │\n") == ["tiny-s0-1234"]
    assert broken_words("│ a    │ of two │\n│      │ words  │\ntwo words") == []
    assert broken_words("│ a    │ of       │\n│      │ a metric │") == []
    assert too_wide("x" * 81 + "\n" + "y" * 80, 80) == ["x" * 81]


def test_every_screen_is_there_at_every_width(maker: ModuleType) -> None:
    wanted = {f"{columns}/{name}.txt" for columns in maker.WIDTHS for name in maker.COMMANDS}
    assert {file.relative_to(REPOSITORY / "docs" / "screens").as_posix() for file in SCREENS} == wanted


@pytest.mark.parametrize("file", SCREENS, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_a_screen_fits_its_terminal_and_breaks_nothing(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text.startswith("$ mmbench ")
    assert too_wide(text, int(file.parent.name)) == []
    assert broken_words(text) == []
    assert re.findall(r"/(?:root|home|tmp)/\S*|\b(?!1a2b3c4d)[0-9a-f]{8}\b", text) == []


def test_a_screen_is_made_by_its_command(maker: ModuleType, tmp_path: Path) -> None:
    (made,) = maker.make_screens(["doctor"], (80,), tmp_path)
    assert made == tmp_path / "80" / "doctor.txt"
    text, committed = made.read_text("utf-8"), (REPOSITORY / "docs/screens/80/doctor.txt").read_text("utf-8")
    assert too_wide(text, 80) == broken_words(text) == []
    assert text.splitlines()[0] == committed.splitlines()[0]
    assert "~/.cache/mmbench/data" in text


def test_what_differs_from_machine_to_machine_is_replaced(maker: ModuleType) -> None:
    text = "records in /a/b/runs/tiny-bounce-s0-0123abcd  \n2026-03-04T05:06:07Z\n\n"
    assert maker.normalised(text, Path("/a/b")) == "records in ~/runs/tiny-bounce-s0-1a2b3c4d\n2026-01-01T00:00:00Z"
