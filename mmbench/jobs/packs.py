"""Puts samples of runs into packs, and into files of their own again: `mmbench pack --samples`, `unpack --samples`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.errors import BusyError, UsageError
from mmbench.runs.find import run_folders
from mmbench.runs.store import SampleStore

COLUMNS = ("run", "samples", "moved", "packs", "loose", "pack bytes")


def pack_samples(places: Sequence[Path]) -> list[dict[str, Any]]:
    """Put the samples of runs into packs, in their folders.

    Args:
        places: Folders of runs, or single runs.

    Returns:
        A row per run: how many samples and recorded failures there are, were moved now, and are loose still.

    Raises:
        UsageError: A place holds no samples.
        BusyError: Another process packs one of them.
        DiskError: A pack cannot be written; what was packed stays so.
    """
    return [_row(store, store.pack()) for store in _stores(places)]


def unpack_samples(places: Sequence[Path]) -> list[dict[str, Any]]:
    """Put packed samples of runs into files of their own; arguments, rows and errors as of `pack_samples`."""
    rows = []
    for store in _stores(places):
        rows.append(_row(store, store.unpack()))
        for index, reason in store.find_damaged(store.status().present).items():
            log.warning("sample %d was damaged in its pack: %s try: %s", index, reason, store.source(index).remedy)
    return rows


def _stores(places: Sequence[Path]) -> Iterator[SampleStore]:
    for place in places:
        folders = [place] if (place / "manifest.json").is_file() else run_folders(place)
        with_samples = [folder for folder in folders if (folder / "samples").is_dir()]
        if not with_samples:
            raise UsageError(f"{place} holds no samples.", "a folder of runs, or a run", "mmbench list runs")
        yield from map(SampleStore.open, with_samples)


def _row(store: SampleStore, moved: int | None) -> dict[str, Any]:
    if moved is None:
        raise BusyError(
            f"Another process packs {store.folder}.", "one at a time", "the same command, once that is done"
        )
    status, packs = store.status(), store.packs.files()
    row = {"run": store.folder.name, "samples": len(status.present) + len(status.failed), "moved": moved}
    return {
        **row,
        "packs": len(packs),
        "loose": len(store.packs.loose()),
        "pack bytes": sum(p.stat().st_size for p in packs),
    }
