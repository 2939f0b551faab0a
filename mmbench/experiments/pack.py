"""Packs run folders and sweeps into one file that fits a repository, and unpacks it: `mmbench pack`, `mmbench unpack`.

What is kept are manifests, records, the lines of other .jsonl files of a run, the files of sweeps, and paired
differences; samples, scores, features and pictures are not.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.sweep.log import Differences, read_log
from mmbench.experiments.sweep.table import open_sweep, pair_runs
from mmbench.files import format_lines, read_json, read_lines, write_json, write_whole
from mmbench.runs.find import run_folders
from mmbench.runs.store import read_manifest
from mmbench.scores.records import RECORDS, Record, read_records, read_scored
from mmbench.tables.compare import table_of
from mmbench.tables.numbers import numbers_of_difference
from mmbench.tables.packed import DIFFERENCES, Line, Packed, PackedRun, pack_lines, read_packed
from mmbench.tables.table import table_order


def pack(sources: Sequence[Path], out: Path) -> Packed:
    """Write runs and sweeps to one packed file.

    Args:
        sources: Folders of runs with their sweeps, folders of single runs, or files of sweeps, which bring their runs.
        out: The file, which must not be there yet.

    Returns:
        What was written.

    Raises:
        UsageError: A source holds no run, or `out` is there.
        MMBenchError: Two folders hold the same run.
        IntegrityError: Something in the sources is damaged; nothing is written.
    """
    if out.exists():
        raise UsageError(f"{out} is there already.", "a new file", f"rm {out}, or another --out")
    folders, files = _find_sources(sources)
    logs = {file.stem: _read_sweep(file) for file in files}
    places = _find_places(files)
    runs = [_read_run(folder) for folder in folders]
    runs = [replace(run, sweeps=places.get(run.name, [])) for run in _keep_differences(runs, folders, places)]
    lines = [line for run in runs for line in run.files.get("invocations.jsonl", [])]
    typed = [shlex.join(x["command"]) for x in [*lines, *(y for z in logs.values() for y in z)] if "command" in x]
    packed = Packed(out.stem, _sort_runs(runs, list(places)), logs, list(dict.fromkeys(typed)))
    _note_missing(places, runs)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, pack_lines(packed))
    except OSError as error:
        found = f"Cannot write {out}: {error.strerror}."
        raise MMBenchError(found, "a folder you may write to", "--out FILE") from error
    return packed


def unpack(file: Path, out: Path) -> list[Path]:
    """Write the folders and sweeps of a packed file as they were, all or nothing.

    Args:
        file: The packed file.
        out: A folder that must not be there yet.

    Returns:
        The folders of the runs.

    Raises:
        UsageError: `out` is there already, or `file` is not.
        IntegrityError: A line is damaged; names it.
    """
    if not file.is_file():
        raise UsageError(f"{file} is no file.", "a file of mmbench pack", f"ls {file.parent}")
    if out.exists():
        raise UsageError(f"{out} is there already.", "a new folder", f"mmbench unpack {file} --out ANOTHER")
    packed = read_packed(file)
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        for run in packed.runs:
            _write_run(beside / run.name, run)
        for name, lines in packed.logs.items():
            write_whole(beside / f"{name}.jsonl", format_lines(lines))
        os.replace(beside, out)
    except OSError as error:
        found = f"Cannot write to {out}: {error.strerror}."
        raise MMBenchError(found, "a folder you may write to", "--out FOLDER") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return [out / run.name for run in packed.runs]


def _find_sources(sources: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Folders of runs and files of sweeps, each once."""
    folders, files = dict[str, Path](), dict[Path, Path]()
    for source in sources:
        if source.is_file():
            mine = [source]
            runs = {outcome.run for outcome in read_log(source).outcomes.values() if outcome.run}
            here = [source.parent / run for run in runs if (source.parent / run / "manifest.json").is_file()]
        else:
            mine = [file for file in sorted(source.glob("*.jsonl")) if _is_sweep(file)]
            here = [source] if (source / "manifest.json").is_file() else run_folders(source)
        if not here:
            raise UsageError(f"{source} holds no run.", "a folder of runs, a run or a sweep", "mmbench list runs")
        files |= {file.resolve(): file for file in mine}
        for folder in here:
            known = folders.setdefault(read_manifest(folder).run_id, folder)
            if known.resolve() != folder.resolve():
                found = f"{folder} and {known} hold the same run."
                raise MMBenchError(found, "every run once", "mmbench merge PARTS --out RUNS, or pack one of them")
    return list(folders.values()), list(files.values())


def _is_sweep(file: Path) -> bool:
    lines = read_lines(file)
    if lines and "sweep" in lines[0]:
        return True
    log.warning("%s is left out: it is not of a sweep.", file)
    return False


def _read_run(folder: Path) -> PackedRun:
    """A run's manifest and lines; what is damaged raises IntegrityError."""
    read_manifest(folder), read_records(folder)
    others = [file for file in sorted(folder.glob("*.jsonl")) if file.name not in (RECORDS, DIFFERENCES)]
    return PackedRun(
        read_json(folder / "manifest.json"),
        read_lines(folder / RECORDS),
        differences=read_lines(folder / DIFFERENCES),
        files={file.name: read_lines(file) for file in others},
    )


def _read_sweep(file: Path) -> list[Line]:
    """Lines of a sweep, and the differences that its scores give if they are not written down yet."""
    lines, sweep = read_lines(file), open_sweep(file)
    paired = pair_runs(sweep)
    return lines if paired == sweep.log.differences else [*lines, Differences(paired).to_json()]


def _find_places(files: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """Where sweeps have each run: log, row and training seed, and the run's seed where there are several."""
    places: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        for outcome in read_log(file).outcomes.values():
            place = {"log": file.stem, "row": outcome.row, "train_seed": outcome.train_seed}
            place |= {} if outcome.sample_seed is None else {"sample_seed": outcome.sample_seed}
            places.setdefault(outcome.run, []).append(place)
    return places


def _note_missing(places: Mapping[str, object], runs: Sequence[PackedRun]) -> None:
    missing = sorted(places.keys() - {run.name for run in runs} - {""})
    if missing:
        log.warning("Sweeps name runs that are not there: %s.", ", ".join(missing))


def _keep_differences(
    runs: Sequence[PackedRun], folders: Sequence[Path], swept: Mapping[str, object]
) -> list[PackedRun]:
    """Runs with their paired differences to base or first system, from their scores; those of sweeps have theirs."""
    groups: dict[tuple[Any, ...], list[tuple[Path, Record]]] = {}
    for run, folder in zip(runs, folders, strict=True):
        for r in () if run.name in swept else run.records:
            if (folder / "scores" / f"{r.key}.jsonl").exists():
                groups.setdefault((r.dataset, r.n_expected, r.seed), []).append((folder, r))
    found: dict[str, list[Line]] = {}
    for (dataset, n, seed), cells in groups.items():
        try:
            ordered = sorted(cells, key=lambda cell: table_order(cell[1].system))
            columns = table_of([read_scored(folder, r) for folder, r in ordered])
        except MMBenchError as error:
            log.warning("No paired differences are kept on %s, n = %d, seed %d: %s", dataset, n, seed, error.found)
            continue
        for cell in (cell for column in columns for cell in column if cell.difference):
            line = {"metric": cell.record.metric, "n_expected": n, **(numbers_of_difference(cell) or {})}
            found.setdefault(cell.record.run_id, []).append(line)
    return [replace(run, differences=found.get(run.name, run.differences)) for run in runs]


def _sort_runs(runs: Sequence[PackedRun], swept: Sequence[str]) -> list[PackedRun]:
    """Runs of sweeps in their order there, then others by name."""
    order = {name: number for number, name in enumerate(swept)}
    return sorted(runs, key=lambda run: (order.get(run.name, len(order)), run.name))


def _write_run(folder: Path, run: PackedRun) -> None:
    folder.mkdir()
    write_json(folder / "manifest.json", run.manifest, indent=1)
    own = {RECORDS: run.lines, DIFFERENCES: run.differences}
    for name, lines in (own | run.files).items():
        if lines or name in run.files:
            write_whole(folder / name, format_lines(lines))
