"""Packed files: the runs and sweeps of one experiment, one line per run, as `mmbench pack` writes them.

line 1    {"experiment", "format", "runs", "log_lines", "command": [...], "parts": {"dataset.0": {...}, ...}}
then      {"sweeps": [{"log", "row", "train_seed", "sample_seed", "differences"}], **manifest, "records": [...],
           "differences": [...], "files": {"invocations.jsonl": [...], ...}}                        one per run
then      {"log": NAME, "line": {...}}                                                          one per line of a sweep

A record lacks the fields that it shares with its run. The last paired differences of a sweep's file stand in its runs,
where null in the sweep's own line says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError, UsageError
from mmbench.files import format_lines, read_lines
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import read_manifest
from mmbench.scores.records import Record, Scored, parse_record, read_scored, score_on_record
from mmbench.tables.parts import restore_parts, share_parts

FORMAT_VERSION = 1  # raised when the lines change
OF_RUN = ("run_id", "digest", "system", "dataset", "seed", "weights")  # fields of a record that its run has, too
DIFFERENCES = "differences.jsonl"  # in an unpacked run's folder: what its scores, which are not there, gave
OWN = ("sweeps", "records", "differences", "files")  # keys of a run's line that are not its manifest's

Line = dict[str, Any]


@dataclass(frozen=True)
class PackedRun:
    """A run without its samples.

    Attributes:
        manifest: As in manifest.json.
        lines: Of records.jsonl.
        sweeps: Where the sweeps of this file have it: log, row, train_seed, sample_seed.
        differences: Paired differences to its base or the first system, as `mmbench run` shows them.
        files: Lines of its other .jsonl files, by name.
    """

    manifest: Line
    lines: list[Line]
    sweeps: list[Line] = field(default_factory=list)
    differences: list[Line] = field(default_factory=list)
    files: dict[str, list[Line]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its id, which names its folder."""
        return str(self.manifest["run_id"])

    @property
    def spec(self) -> RunSpec:
        """Its identity, checked against its digest."""
        return RunSpec.from_json(self.manifest, Path(self.name))

    @property
    def records(self) -> list[Record]:
        """The latest record of each metric and n."""
        return list({record.key: record for record in map(parse_record, self.lines)}.values())


@dataclass(frozen=True)
class Packed:
    """What a packed file holds.

    Attributes:
        experiment: What it is called.
        runs: In the order of the file.
        logs: Lines of the files of sweeps, by name without .jsonl.
        command: What was typed to make the runs, as far as it is on record.
    """

    experiment: str
    runs: list[PackedRun]
    logs: dict[str, list[Line]] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)


def pack_lines(packed: Packed) -> bytes:
    """The content of the packed file."""
    runs = [_run_line(run, packed.logs) for run in packed.runs]
    places = {(place["log"], run.name) for run in packed.runs for place in run.sweeps}
    logs = [
        {"log": name, "line": line}
        for name, lines in packed.logs.items()
        for line in _log_lines(lines, {run for log, run in places if log == name})
    ]
    shared = [{k: run.get(k) for k in ("spec", "files")} for run in runs] + [{"line": log["line"]} for log in logs]
    encoded, parts = share_parts(shared)
    for line, values in zip([*runs, *logs], encoded, strict=True):
        line |= {k: v for k, v in values.items() if k in line}
    head = {"experiment": packed.experiment, "format": FORMAT_VERSION, "runs": len(runs), "log_lines": len(logs)}
    lines = [head | {"command": packed.command, "parts": parts}, *runs, *logs]
    return format_lines(lines)


def _run_line(run: PackedRun, logs: Mapping[str, list[Line]]) -> Line:
    sweeps = []
    for place in run.sweeps:
        last = _last_differences(logs[place["log"]])
        own = last["differences"].get(run.name) if last else None
        sweeps.append(place | ({} if own is None else {"differences": own}))
    out: Line = {"sweeps": sweeps} if sweeps else {}
    out |= run.manifest | {"records": [_without_run(line, run.manifest) for line in run.lines]}
    out |= {"differences": run.differences} if run.differences else {}
    return out | ({"files": run.files} if run.files else {})


def _without_run(line: Line, manifest: Line) -> Line:
    """A record's line without what its run says already, if it begins with exactly that."""
    same = tuple(line)[: len(OF_RUN)] == OF_RUN and all(line[k] == manifest.get(k) for k in OF_RUN)
    return {k: v for k, v in line.items() if k not in OF_RUN} if same else line


def _last_differences(lines: list[Line]) -> Line | None:
    return next((line for line in reversed(lines) if "differences" in line), None)


def _log_lines(lines: list[Line], known: set[str]) -> list[Line]:
    """Lines of a sweep with null for the last differences of runs that are packed."""
    last = _last_differences(lines)
    moved = {run: None if run in known else d for run, d in last["differences"].items()} if last else {}
    return [line | {"differences": moved} if line is last else line for line in lines]


def read_packed(file: Path) -> Packed:
    """Read a packed file.

    Raises:
        IntegrityError: A line is damaged, missing or there twice; names it.
    """
    number, head, runs, logs = 0, Line(), dict[str, PackedRun](), dict[str, list[Line]]()
    again = f"git checkout {file}, or pack the runs again: mmbench pack RUNS --out FILE"
    try:
        lines = read_lines(file)
    except IntegrityError as error:
        raise IntegrityError(error.found, "a file of mmbench pack", again) from error
    try:
        for number, line in enumerate(lines, start=1):
            if number == 1:
                head = _read_head(line)
            elif "log" in line:
                logs.setdefault(_one_name(line["log"]), []).append(restore_parts(line["line"], head["parts"]))
            else:
                run = _read_run(line, head["parts"])
                if runs.setdefault(run.name, run) is not run:
                    raise ValueError(f"run {run.name} is there twice")
        found, stated = (len(runs), sum(map(len, logs.values()))), (head["runs"], head["log_lines"])
        if found != stated:
            raise ValueError(f"{found} runs and lines of sweeps, where line 1 says {stated}")
        return Packed(head["experiment"], *_return_differences(list(runs.values()), logs), head["command"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IntegrityError) as error:
        what = error.found if isinstance(error, IntegrityError) else f"{type(error).__name__}: {error}"
        raise IntegrityError(f"{file} line {number} is corrupt: {what}", "a file of mmbench pack", again) from error


def find_packed(name: str, file: Path) -> PackedRun | None:
    """The run of a packed file with this id, or this unique beginning of it; None if there is none.

    Raises:
        UsageError: Several begin so.
    """
    runs = {run.name: run for run in read_packed(file).runs}
    names = [name] if name in runs else [known for known in runs if known.startswith(name)]
    if len(names) > 1:
        raise UsageError(f"{name!r} could be {', '.join(names)}.", "one run", f"mmbench show {names[0]} --out {file}")
    return runs[names[0]] if names else None


def is_packed(scored: Scored) -> bool:
    """Whether a score is of a run in a packed file, which its folder then is."""
    return scored.folder.is_file()


def read_recorded(place: Path, record: Record) -> Scored:
    """A record of a run with its score: in the run's folder with values per sample, in a packed file without."""
    return Scored(place, record, score_on_record(record)) if place.is_file() else read_scored(place, record)


def find_spec(scored: Scored) -> RunSpec:
    """The identity of the run that a score is of, in its folder or packed file."""
    if not is_packed(scored):
        return read_manifest(scored.folder)
    return next(run.spec for run in read_packed(scored.folder).runs if run.name == scored.record.run_id)


def _read_head(line: Line) -> Line:
    if line["format"] != FORMAT_VERSION:
        raise ValueError(f"format {line['format']}, where this version reads {FORMAT_VERSION}")
    return line


def _read_run(line: Line, parts: Mapping[str, Any]) -> PackedRun:
    manifest = {k: v for k, v in line.items() if k not in OWN}
    manifest["spec"] = restore_parts(manifest["spec"], parts)
    _one_name(manifest["run_id"])
    of_run = {k: manifest[k] for k in OF_RUN}
    records = [record if "run_id" in record else of_run | record for record in line["records"]]
    files = {_one_name(name): lines for name, lines in restore_parts(line.get("files", {}), parts).items()}
    run = PackedRun(manifest, records, line.get("sweeps", []), line.get("differences", []), files)
    for read in (lambda: run.spec, lambda: run.records):  # here, so that damage is found at its line
        read()
    return run


def _one_name(name: str) -> str:
    """A name that is safe to make a file of."""
    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"{name!r} is no name of a file")
    return name


def _return_differences(
    runs: list[PackedRun], logs: dict[str, list[Line]]
) -> tuple[list[PackedRun], dict[str, list[Line]]]:
    """Runs and logs with the differences of sweeps back in the logs."""
    kept = {(place["log"], run.name): place.pop("differences", None) for run in runs for place in run.sweeps}
    for name, lines in logs.items():
        last = _last_differences(lines)
        if last is not None:
            last["differences"] = {
                run: kept[name, run] if own is None else own for run, own in last["differences"].items()
            }
    return runs, logs
