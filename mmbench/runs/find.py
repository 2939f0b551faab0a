"""Finds runs on disk, by folder, id or the beginning of an id."""

from __future__ import annotations

from pathlib import Path

from mmbench.errors import UsageError


def run_folders(out: Path) -> list[Path]:
    """Folders of runs in `out`, by name."""
    return sorted(p.parent for p in out.glob("*/manifest.json")) if out.is_dir() else []


def find_run(name: str, out: Path) -> Path | None:
    """A run's folder by path, id, or unique beginning of its id."""
    if (Path(name) / "manifest.json").is_file():
        return Path(name)
    matches = [f for f in run_folders(out) if f.name == name] or [
        f for f in run_folders(out) if f.name.startswith(name)
    ]
    if len(matches) > 1:
        names = ", ".join(f.name for f in matches)
        raise UsageError(f"{name!r} could be {names}.", "one run", f"mmbench show {matches[0].name}")
    return matches[0] if matches else None
