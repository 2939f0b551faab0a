"""Every table of the paper, with ours beside as far as it is on record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import UsageError
from mmbench.experiments.profiling.columns import TABLES
from mmbench.experiments.published.profiles import fill_profile
from mmbench.experiments.published.studies import fill_study
from mmbench.experiments.published.sweeps import fill_sweep
from mmbench.experiments.published.systems import fill_systems
from mmbench.experiments.published.toy import fill_toy
from mmbench.experiments.sweep.table import SWEPT
from mmbench.tables.beside_printed import PaperTable
from mmbench.tables.paper import SYSTEMS
from mmbench.tables.published import published
from mmbench.tables.runs import find_records

PLACES = (Path("runs"), Path("study"))  # where commands put what they make
ALONE = ("1", "11", "12", "14")  # tables that no record of a run fills


def open_places(places: Sequence[Path]) -> list[Path]:
    """The folders and packed files to look in: those given, or of `PLACES` those that are there.

    Raises:
        UsageError: One that was given is not there.
    """
    if missing := [place for place in places if not place.exists()]:
        found = f"{missing[0]} is not there."
        raise UsageError(found, "folders of runs, sweeps, toys, profiles or studies, or packed files", "ls")
    return list(places) or [place for place in PLACES if place.exists()]


def gather_tables(
    places: Sequence[Path], numbers: Sequence[str] = (), metrics: Sequence[str] = (), **filters: Any
) -> list[PaperTable]:
    """Tables of results in the order of the paper; nothing on record leaves the printed numbers.

    Args:
        places: Of `open_places`: folders, which may hold runs, sweeps, profile.jsonl, and folders `sweep`, `toy` and
            `study`; or packed files.
        numbers: Of the tables; all if empty.
        metrics: Of runs only records of these; of all if empty.
        **filters: dataset, systems, num_samples, seed, of runs and of sweeps.

    Raises:
        IntegrityError: Something on record is damaged.
    """
    wanted = [number for number in published() if not numbers or number in numbers]
    found = []
    if set(wanted) & set(SYSTEMS):
        found = find_records(*places, none_is_fine=True, metrics=metrics, **filters)
    tables = []
    for number in wanted:
        if number in SYSTEMS:
            tables.append(fill_systems(number, found))
        elif number in SWEPT:
            tables.append(fill_sweep(number, places, **filters))
        elif number in TABLES.values():
            tables.append(fill_profile(number, places))
        else:
            tables.append(fill_toy(places) if number == "1" else fill_study(places))
    return tables
