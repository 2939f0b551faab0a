"""Sets that are scored already: runs, clips wherever they lie now, and packed files, with their records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from mmbench.console import log
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.jobs.submissions import find_set, list_sources
from mmbench.media.regular_files import is_there
from mmbench.media.sources import submission_digest
from mmbench.runs.find import name_out, run_folders
from mmbench.runs.store import read_manifest
from mmbench.scores.records import Record, Scored, read_records
from mmbench.tables.packed import read_packed, read_recorded

Found = list[tuple[Path, Record]]  # records of one set, each with the folder of its run, or the packed file


def find_evaluated(path: Path, out: Path) -> list[Path]:
    """Every folder of records of clips with the content of those at `path`, whatever they were called."""
    digest = submission_digest(list_sources(path))
    same = []
    for folder in run_folders(out):
        try:
            if read_manifest(folder).spec.get("submission") == digest:
                same.append(folder)
        except IntegrityError as error:
            log.warning("%s is passed over: %s try: %s", folder.name, error.found, error.next)
    return same


def find_sets(names: Sequence[str], out: Path, typed: Sequence[str]) -> dict[str, Found]:
    """Records of each set by what it was called, those of a packed file by run; a run that is there twice once.

    Args:
        names: As of `mmbench.jobs.compare.compare`.
        out: Folder of runs.
        typed: The words that were typed, for what an error says to type.

    Raises:
        UsageError: A name that is neither a path nor a run, or means several runs.
        MMBenchError: Clips that have not been scored as they are now.
    """
    elsewhere = name_out(out)
    folders = {name: find_set(name, out, typed) for name in names}
    for name, folder in folders.items():
        if folder is None and not is_there(name):
            listed = shlex.join(["mmbench", "list", "runs", *elsewhere])
            raise UsageError(f"{name!r} is no path, and no run in {out}.", "a run, or clips", listed)
    found: dict[str, Found] = {}
    for name, folder in folders.items():
        path = Path(name)
        if folder is not None:
            found[name] = _recorded([folder])
        elif path.is_file() and path.suffix == ".jsonl":
            known = {r.run_id for records in found.values() for _, r in records}
            packed = {run.name: [(path, r) for r in run.records] for run in read_packed(path).runs}
            found |= {run: records for run, records in packed.items() if records and run not in known}
        elif same := find_evaluated(path, out):
            found[name] = _recorded(same)
        else:
            words = ["mmbench", "evaluate", *(n for n in names if not n.endswith(".jsonl")), *elsewhere]
            found_words = f"{name} has not been scored as it is now."
            raise MMBenchError(found_words, f"its scores in {out}", shlex.join(words))
    return found


def records_at(place: Path, out: Path) -> Found:
    """The records of a run's folder, or of clips as they are now; none of what was not scored.

    Args:
        place: A run's folder, or clips.
        out: Where records of clips lie.
    """
    return _recorded([place] if (place / "manifest.json").is_file() else find_evaluated(place, out))


def _recorded(folders: Sequence[Path]) -> Found:
    return [(folder, r) for folder in folders for r in read_records(folder)]


def is_named(record: Record, metrics: Sequence[str]) -> bool:
    """Whether a record is of one of these metrics, named with or without their variant; of any if there are none."""
    return not metrics or record.metric in metrics or record.metric.partition(".")[0] in metrics


def choose(records: Found, all_sets: Sequence[Found]) -> list[Scored]:
    """One record per metric: of the largest n that all sets have it with, else of its own largest; the latest of it.

    A distance to real clips counts as had by all where it is to those of one dataset.
    """
    best: dict[str, tuple[tuple[bool, int, str], Path, Record]] = {}
    for folder, r in records:
        everywhere = all(any(_is_alike(r, o) for _, o in others) for others in all_sets)
        rank = (everywhere, r.n_expected, r.time)
        if r.metric not in best or best[r.metric][0] <= rank:
            best[r.metric] = (rank, folder, r)
    return [read_recorded(folder, r) for _, folder, r in best.values()]


def _is_alike(a: Record, b: Record) -> bool:
    return (a.metric, a.n_expected) == (b.metric, b.n_expected) and (a.reference is None or a.dataset == b.dataset)
