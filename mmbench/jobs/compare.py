"""Finds what is scored already and sets it side by side: `mmbench compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.submissions import find_set, list_sources
from mmbench.media.sources import submission_digest
from mmbench.runs.find import run_folders
from mmbench.runs.store import read_manifest
from mmbench.scores.records import Record, Scored, read_records, read_scored
from mmbench.tables.side_by_side import Comparison, compare_sets


def compare(
    names: Sequence[str],
    out: Path,
    baseline: str = "",
    metrics: Sequence[str] = (),
    num: int | None = None,
) -> Comparison:
    """Sets runs and submissions that are on record side by side.

    Args:
        names: Each a run (folder, id, beginning of an id), or clips that were evaluated, wherever they lie now.
        out: Folder of runs.
        baseline: One of `names`, or a system's name, that all are compared with.
        metrics: Only these, named with or without their variant.
        num: Only records of this n.

    Raises:
        UsageError: Fewer than two names, or something that is neither a run nor clips.
        MMBenchError: Something has no records, or nothing compares.
    """
    if len(names) < 2:
        raise UsageError("One name is no comparison.", "two or more", f"mmbench compare {' '.join(names)} RUN")
    for name in names:
        if find_set(name, out) is None and not Path(name).exists():
            found_words = f"{name!r} is no path, and no run in {out}."
            raise UsageError(found_words, "a run, or clips", f"mmbench list runs --out {out}")
    found: dict[str, list[tuple[Path, Record]]] = {}
    for name in dict.fromkeys(names):
        records = [(folder, r) for folder in _folders(name, names, out) for r in read_records(folder)]
        wanted = [(f, r) for f, r in records if num in (None, r.n_expected) and _is_named(r, metrics)]
        if not wanted:
            options = "".join(f" -m {m}" for m in metrics) + _elsewhere(out)
            raise MMBenchError(f"{name} has no such record.", "scores of it", f"mmbench evaluate {name}{options}")
        found[name] = wanted
    chosen = [_choose(records, list(found.values())) for records in found.values()]
    folders = {name: records[0].record.run_id for name, records in zip(found, chosen, strict=True)}
    return compare_sets(chosen, folders.get(baseline, baseline), list(found))


def _folders(name: str, names: Sequence[str], out: Path) -> list[Path]:
    """The run that is meant, or every record folder of clips with this content, the latest last."""
    if (folder := find_set(name, out)) is not None:
        return [folder]
    if Path(name).is_file() and Path(name).suffix == ".jsonl":
        found = f"{name} is packed: it holds numbers, and no values per sample that could pair."
        raise UsageError(found, "runs, or clips that were evaluated", f"mmbench table --out {name}")
    digest = submission_digest(list_sources(Path(name)))
    same = [f for f in run_folders(out) if read_manifest(f).spec.get("submission") == digest]
    if not same:
        command = f"mmbench evaluate {' '.join(names)}{_elsewhere(out)}"
        raise MMBenchError(f"{name} has not been scored as it is now.", f"its scores in {out}", command)
    return same


def _elsewhere(out: Path) -> str:
    return "" if out == Path("runs") else f" --out {out}"


def _is_named(record: Record, metrics: Sequence[str]) -> bool:
    return not metrics or record.metric in metrics or record.metric.partition(".")[0] in metrics


def _choose(records: Sequence[tuple[Path, Record]], all_sets: Sequence[Sequence[tuple[Path, Record]]]) -> list[Scored]:
    """One record per metric: of the largest n that all sets have it with, else of its own largest; the latest of it."""
    best: dict[str, tuple[tuple[bool, int, str], Path, Record]] = {}
    for folder, r in records:
        everywhere = all(
            any(o.metric == r.metric and o.n_expected == r.n_expected for _, o in others) for others in all_sets
        )
        rank = (everywhere, r.n_expected, r.time)
        if r.metric not in best or best[r.metric][0] <= rank:
            best[r.metric] = (rank, folder, r)
    return [read_scored(folder, r) for _, folder, r in best.values()]
