"""Runs on record: folders as `mmbench run` leaves them, or the lines of a packed file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
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


def find_records(
    out: Path,
    *,
    dataset: str | None = None,
    systems: Sequence[str] = (),
    metrics: Sequence[str] = (),
    num_samples: int | None = None,
    seed: int | None = None,
) -> list[tuple[RunOnRecord, Record]]:
    """The records in `out` that fit the filters, each with its run.

    Args:
        out: Folder of runs, or a packed file.
        dataset: Only records on this one.
        systems: Only records of these; of all if empty.
        metrics: Only records of these, named with or without their variant; of all if empty.
        num_samples: Only records of this n.
        seed: Only records of runs with this seed.

    Raises:
        MMBenchError: Nothing fits.
        IntegrityError: Something on record is damaged.
    """
    found = [
        (run, r)
        for run in read_runs(out)
        for r in run.records
        if dataset in (None, r.dataset)
        and (not systems or r.system in systems)
        and (not metrics or r.metric in metrics or r.metric.partition(".")[0] in metrics)
        and seed in (None, r.seed)
        and num_samples in (None, r.n_expected)
    ]
    if not found:
        raise MMBenchError(f"No record in {out} fits.", "runs that were evaluated", "mmbench run, or mmbench list runs")
    return found
