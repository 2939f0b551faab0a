"""Runs on record: folders as `mmbench run` leaves them, or the lines of a packed file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmbench.runs.find import run_folders
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import read_manifest
from mmbench.scores.records import Record, read_records
from mmbench.tables.packed import read_packed


@dataclass(frozen=True)
class RunOnRecord:
    """A run with its records.

    Attributes:
        spec: Its identity.
        records: The latest of each metric and n.
        name: Of its folder; the run's id unless somebody renamed it.
        differences: Paired differences that a packed file keeps, as `mmbench run` printed them, with `metric`.
    """

    spec: RunSpec
    records: list[Record]
    name: str
    differences: tuple[Mapping[str, Any], ...] = ()


def read_runs(out: Path) -> list[RunOnRecord]:
    """The runs in a folder of runs, or in a packed file.

    Raises:
        IntegrityError: A manifest, record or line is damaged.
    """
    if not out.is_file():
        return [RunOnRecord(read_manifest(f), read_records(f), f.name) for f in run_folders(out)]
    return [RunOnRecord(r.spec, r.records, r.name, tuple(r.differences)) for r in read_packed(out).runs]
