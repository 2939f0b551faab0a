"""Finds runs on disk, by folder, id or the beginning of an id."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from mmbench.errors import UsageError

LISTED = 12  # runs that an error names


def run_folders(out: Path) -> list[Path]:
    """Folders of runs in `out`, by name."""
    return sorted(p for p in out.iterdir() if p.is_dir() and is_run(p)) if out.is_dir() else []


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's, or may be, as far as one that nobody may look into tells.

    A process that is killed in the moment it makes one leaves a folder without a manifest, in which nothing has begun.
    """
    try:
        return (folder / "manifest.json").exists()
    except PermissionError:
        return True


def find_run(name: str, out: Path, command: Sequence[str] = ()) -> Path | None:
    """A run's folder by path, id, or unique beginning of its id.

    Args:
        name: What was typed.
        out: Folder of runs.
        command: The words that were typed, `name` among them; by default those that show the run.

    Raises:
        UsageError: Several ids begin so; gives the command with each of them, a line each.
    """
    if (Path(name) / "manifest.json").is_file():
        return Path(name)
    folders = run_folders(out)
    matches = [f for f in folders if f.name == name] or [f for f in folders if f.name.startswith(name)]
    if len(matches) > 1:
        words = command or ["mmbench", "show", name, *name_out(out)]
        raise UsageError(f"{name!r} could be {len(matches)} runs.", "one of them", offer(name, matches, words))
    return matches[0] if matches else None


def offer(name: str, matches: Sequence[Path], command: Sequence[str]) -> str:
    """The command with each of several runs in the place of a name that means them all, a line each."""
    lines = [shlex.join([f.name if word == name else word for word in command]) for f in matches[:LISTED]]
    if len(matches) > LISTED:
        lines.append(f"... and {len(matches) - LISTED} more: mmbench list runs")
    return "\n       ".join(lines)  # under the first, which the error leads in with "  try: "


def name_out(out: Path) -> list[str]:
    """The words that say where runs lie, if that is not where commands look anyway."""
    return [] if out == Path("runs") else ["--out", str(out)]
