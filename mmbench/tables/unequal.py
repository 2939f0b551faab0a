"""Submissions of nearly the same files stand in one table although their n differ: a clip or two are not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmbench.scores.records import Record, read_samples
from mmbench.tables.pairing import pair_by_content
from mmbench.tables.runs import RunOnRecord

LEAST_SHARED = 0.5  # of the larger set's samples that pair: below, two folders are two experiments
Key = tuple[str, int, int]  # dataset, n and seed of records that stand in one table
Entry = tuple[RunOnRecord, Record]


def join_submissions(sets: Mapping[Key, Sequence[Entry]], shown: Key) -> tuple[list[Entry], dict[Key, list[Entry]]]:
    """Moves submissions into the set that is shown if most of their samples pair with those of one that is there.

    Args:
        sets: Records of one dataset, n and seed each.
        shown: Which of them is shown.

    Returns:
        What is shown, and what is left of the other sets.
    """
    joined = list(sets[shown])
    others: dict[Key, list[Entry]] = {}
    shown_names = {run.spec.system for run, _ in joined}
    models = list({run.name: (run, r) for run, r in joined if _has_samples(run)}.values())
    for key, found in sets.items():
        if key == shown:
            continue
        near = {run.name: _is_near((run, r), models) for run, r in found} if key[::2] == shown[::2] and models else {}
        for run, r in found:
            if near.get(run.name) and run.spec.system not in shown_names:
                joined.append((run, r))
            else:
                others.setdefault(key, []).append((run, r))
    return joined, others


def note_unequal(records: Sequence[Record], homes: Mapping[str, str]) -> list[str]:
    """What to know of a table in which n differs, with the command that shows differences.

    Args:
        records: Of the table.
        homes: The words that say where each run lies, by its id.
    """
    sizes = {r.system: (r.n_expected, r.run_id) for r in records}
    if len({n for n, _ in sizes.values()}) < 2:
        return []
    told = ", ".join(f"{system} {n}" for system, (n, _) in sizes.items())
    runs = [run for _, run in sizes.values()]
    command = " ".join(["mmbench compare", *runs, homes[runs[0]]]).strip()
    return [f"n differs: {told}. For differences over the samples they share, try: {command}"]


def _has_samples(run: RunOnRecord) -> bool:
    return "submission" in run.spec.spec and run.place.is_dir()


def _is_near(entry: Entry, models: Sequence[Entry]) -> bool:
    run, r = entry
    if not _has_samples(run):
        return False
    mine = read_samples(run.place, r)
    for other, known in models:
        theirs = read_samples(other.place, known)
        if len(pair_by_content(theirs, mine).pairs) >= LEAST_SHARED * max(len(mine), len(theirs)):
            return True
    return False
