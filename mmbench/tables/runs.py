"""Runs on record: folders as `mmbench run` leaves them, or the lines of a packed file."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NoReturn

from mmbench.console import log
from mmbench.errors import MMBenchError, explain
from mmbench.files import read_lines
from mmbench.runs.find import name_out, run_folders
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import read_manifest
from mmbench.scores.records import RECORDS, Record, read_records
from mmbench.tables.packed import read_packed


@dataclass(frozen=True)
class RunOnRecord:
    """A run with its records.

    Attributes:
        spec: Its identity.
        records: The latest of each metric and n.
        name: Of its folder; the run's id unless somebody renamed it.
        place: Its folder, or the packed file.
        differences: Paired differences that a packed file keeps, as `mmbench run` printed them, with `metric`.
    """

    spec: RunSpec
    records: list[Record]
    name: str
    place: Path
    differences: tuple[Mapping[str, Any], ...] = ()

    @property
    def home(self) -> Path:
        """What --out has to be for the run to be found: the folder of runs, or the packed file."""
        return self.place if self.place.is_file() else self.place.parent


def read_run(folder: Path) -> RunOnRecord:
    """The run in a folder; IntegrityError if its manifest or a record is damaged."""
    return RunOnRecord(read_manifest(folder), read_records(folder), folder.name, folder)


def _try_run(folder: Path) -> RunOnRecord | MMBenchError:
    """The run in a folder, or why it cannot be read; read once per version of its files."""
    return _read_version(folder, *(_version(folder / name) for name in ("manifest.json", RECORDS)))


def _version(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode


@lru_cache(maxsize=4096)
def _read_version(folder: Path, *versions: tuple[int, ...]) -> RunOnRecord | MMBenchError:
    try:
        return read_run(folder)
    except MMBenchError as error:
        return error
    except OSError as error:
        return explain(error)


def damage_of(folder: Path) -> str:
    """What is damaged of a run, and what to type; "" if it can be read."""
    found = _try_run(folder)
    return _say_damage(folder, found) if isinstance(found, MMBenchError) else ""


def find_damaged(*places: Path) -> dict[str, str]:
    """The runs that `read_runs` leaves out because they are damaged, by name, each with what is wrong."""
    folders = [folder for place in places if not place.is_file() for folder in run_folders(place)]
    found = {folder.name: _try_run(folder) for folder in folders}
    return {name: run.found for name, run in found.items() if isinstance(run, MMBenchError)}


def _say_damage(folder: Path, error: MMBenchError) -> str:
    return f"Not shown, for it is damaged: {folder.name}. {error.found} try: {error.next}"


@cache
def _warn_once(text: str) -> None:
    """Warn of something that commands come upon several times."""
    log.warning("%s", text)


def read_runs(*places: Path) -> list[RunOnRecord]:
    """The runs in folders of runs and packed files; one that is in several counts where it is first.

    Warns of each run that is damaged, and leaves it out.

    Args:
        *places: Folders, or files.

    Raises:
        IntegrityError: A packed file is damaged, or each of the runs is.
    """
    found: dict[str, RunOnRecord] = {}
    damaged: dict[Path, MMBenchError] = {}
    for place in places:
        if place.is_file():
            runs = [
                RunOnRecord(r.spec, r.records, r.name, place, tuple(r.differences)) for r in read_packed(place).runs
            ]
        else:
            runs = []
            for folder in run_folders(place):
                run = _try_run(folder)
                if isinstance(run, MMBenchError):
                    damaged[folder] = run
                else:
                    runs.append(run)
        for run in runs:
            found.setdefault(run.name, run)
    if damaged and not found:
        raise next(iter(damaged.values()))
    for folder, reason in damaged.items():
        _warn_once(_say_damage(folder, reason))
    return list(found.values())


def places_of(*places: Path) -> dict[str, Path]:
    """The folder of each run, or its packed file, by run id."""
    return {run.spec.run_id: run.place for run in read_runs(*places)}


def read_run_file(place: Path, run_id: str, name: str) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines that a run has beside its records; [] where it has none.

    Args:
        place: The run's folder, or a packed file.
        run_id: Which of the runs in a packed file.
        name: Of the file: "invocations.jsonl".

    Raises:
        IntegrityError: A line of it is damaged; names the file.
    """
    if place.is_file():
        runs = [run for run in read_packed(place).runs if run.name == run_id]
        return [dict(line) for run in runs for line in run.files.get(name, [])]
    return read_lines(place / name)


def find_records(
    *places: Path,
    dataset: str | None = None,
    systems: Sequence[str] = (),
    metrics: Sequence[str] = (),
    num_samples: int | None = None,
    seed: int | None = None,
    none_is_fine: bool = False,
) -> list[tuple[RunOnRecord, Record]]:
    """The records that fit the filters, each with its run.

    Args:
        *places: Folders of runs, or packed files.
        dataset: Only records on this one.
        systems: Only records of these; of all if empty.
        metrics: Only records of these, named with or without their variant; of all if empty.
        num_samples: Only records of this n.
        seed: Only records of runs with this seed.
        none_is_fine: Give none where nothing fits, instead of raising.

    Raises:
        MMBenchError: Nothing fits; says what is there instead.
        IntegrityError: All that is on record is damaged.
    """
    there = [(run, r) for run in read_runs(*places) for r in run.records]
    tests: dict[str, tuple[Any, Callable[[Record], bool], Callable[[Record], Any]]] = {
        "dataset": (dataset, lambda r: r.dataset == dataset, lambda r: r.dataset),
        "system": (systems, lambda r: r.system in systems, lambda r: r.system),
        "metric": (metrics, lambda r: bool({r.metric, short_name(r)} & set(metrics)), short_name),
        "n": (num_samples, lambda r: r.n_expected == num_samples, lambda r: r.n_expected),
        "seed": (seed, lambda r: r.seed == seed, lambda r: r.seed),
    }
    asked = {name: (value, fits, of) for name, (value, fits, of) in tests.items() if value not in (None, (), [])}
    found = [(run, r) for run, r in there if all(fits(r) for _, fits, _ in asked.values())]
    if not found and not none_is_fine:
        known = {
            name: sorted({of(r) for _, r in there})
            for name, (_, fits, of) in asked.items()
            if not any(fits(r) for _, r in there)
        }
        _refuse_nothing(places, {name: value for name, (value, _, _) in asked.items()}, known if there else {})
    return found


def _refuse_nothing(places: Sequence[Path], asked: Mapping[str, Any], known: Mapping[str, Any]) -> NoReturn:
    """Raise the error of records that nobody has: what was asked for, and what is there in its place."""

    def in_words(values: Mapping[str, Any]) -> str:
        texts = {name: ", ".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for name, v in values.items()}
        return "; ".join(f"{name} {text}" for name, text in texts.items())

    found = f"No record in {', '.join(map(str, places))} fits{f' ({in_words(asked)})' if asked else ''}."
    expected = f"what is there: {in_words(known)}" if known else "runs that were evaluated, as mmbench run leaves them"
    raise MMBenchError(found, expected, shlex.join(["mmbench", "list", "runs", *name_out(places[0])]))


def short_name(record: Record) -> str:
    """The metric of a record without its variant."""
    return record.metric.partition(".")[0]
