"""Reading the project's pages: their commands, links, code, and the map of the tree."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

PAGES = ("README.md", *sorted(f"docs/{p.name}" for p in (REPOSITORY / "docs").glob("*.md")), "CONTRIBUTING.md")
LINKED = (*PAGES, "CHANGELOG.md", "baselines/README.md", "metrics/README.md")
SHELL = ("sh", "bash", "shell", "console", "")  # languages of a fence whose every line is a command
STARTERS = re.compile(r"(mmbench|make|torchrun|sbatch|srun|accelerate|pip|uv|python3?|\.venv/\S+) ")


@dataclass(frozen=True)
class Command:
    """One command of a page: where it stands, as typed without its comment, and word by word."""

    page: str
    line: int
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Block:
    """A block of code: its language ("indented" for one without a fence), the line it begins at, and its lines."""

    language: str
    line: int
    lines: tuple[str, ...]


def read(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """Fenced and indented blocks of a page, in order."""
    language, start, held = None, 0, []  # type: ignore[var-annotated]
    blank = True
    for number, line in enumerate([*text.splitlines(), "."], start=1):
        fence = line.startswith("```")
        indented = line.startswith("    ") and (blank or language == "indented")
        if language is None and (fence or indented):
            language, start, held = (line[3:].strip(), number + 1, []) if fence else ("indented", number, [line[4:]])
        elif language == "indented" and not indented and line.strip():
            yield Block(language, start, tuple(held))
            language, start, held = (line[3:].strip(), number + 1, []) if fence else (None, 0, [])
        elif language == "indented":
            held.append(line[4:])
        elif language is not None and fence:
            yield Block(language, start, tuple(held))
            language = None
        elif language is not None:
            held.append(line)
        blank = not line.strip()


def commands(page: str, text: str | None = None) -> list[Command]:
    """Every command of a page: all lines of shell blocks, and lines of other blocks that begin like a command."""
    found = []
    for block in blocks(read(page) if text is None else text):
        if block.language in ("python", "toml", "json"):
            continue
        joined, start = "", block.line
        for number, line in enumerate(block.lines, start=block.line):
            start = start if joined else number
            joined += line.removesuffix("\\")
            if line.endswith("\\"):
                continue
            words = []
            if block.language in SHELL or STARTERS.match(joined.strip() + " "):
                words = shlex.split(joined, comments=True)
            if words:
                found.append(Command(page, start, shlex.join(words)))
            joined = ""
    return found


def prose(text: str) -> str:
    """A page without its blocks."""
    lines = text.splitlines()
    for block in blocks(text):
        for k in range(block.line - 1, block.line - 1 + len(block.lines)):
            lines[k] = ""
    return "\n".join(lines)


def spoken_commands(page: str) -> list[str]:
    """`mmbench ...` within sentences, without options' values."""
    return re.findall(r"`(mmbench [a-z][^`]*)`", prose(read(page)))


def links(page: str) -> list[tuple[str, str]]:
    """(path from the repository, anchor) of every relative link and picture of a page."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(read(page)))
    found = []
    for target in targets:
        path, _, anchor = target.partition("#")
        if not re.match(r"[a-z]+:", target):
            place = (REPOSITORY / page).parent / path if path else REPOSITORY / page
            found.append((str(place.resolve().relative_to(REPOSITORY)), anchor))
    return found


def anchors(page: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def map_of_tree() -> list[str]:
    """What README's map names, in its order: "mmbench/", "mmbench/cli/", "mmbench/types.py"."""
    (block,) = [b for b in blocks(read("README.md")) if b.language == "text"]
    named, top = [], ""
    for line in block.lines:
        words = []
        for word in line.split():
            if not re.fullmatch(r"[\w.]+(/|\.py)", word):
                break
            words.append(word)
        if not line.startswith(" "):
            top = words[0]
            named += words
        else:
            named += [top + word for word in words]
    return named


def rooms(repository: Path) -> set[str]:
    """The folders a map names: those of the top level, and those with Python below the three packages."""
    ignored = {line.strip("/\n") for line in (repository / ".gitignore").read_text().splitlines()}
    top = {
        p.name
        for p in repository.iterdir()
        if p.is_dir() and not p.name.startswith((".", "__")) and not any(p.match(i) for i in ignored)
    }
    below = {
        f"{package}/{p.name}"
        for package in ("mmbench", "baselines", "metrics")
        for p in (repository / package).iterdir()
        if p.is_dir() and not p.is_symlink() and any(p.rglob("*.py"))
    }
    return {f"{name}/" for name in top | below}
