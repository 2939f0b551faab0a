"""Which of the records in a folder stand in one table: the newest set that compares; the others are named."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.runs.find import name_out
from mmbench.scores.records import Record
from mmbench.tables.compare import comparable
from mmbench.tables.labels import differing, flatten
from mmbench.tables.runs import RunOnRecord, find_records
from mmbench.tables.unequal import Entry, Key, join_submissions, note_unequal
from mmbench.types import UNTRAINED


@dataclass(frozen=True)
class NewestSet:
    """Records that stand in one table.

    Attributes:
        records: Of one dataset, n and seed; variants of one system have their options in its name; of each
            metric, those that compare with most others. Submissions of nearly the same files may differ in n.
        notes: What is not among them, with the command that shows it.
        places: The folder of each run, or its packed file, by run id.
    """

    records: list[Record]
    notes: list[str]
    places: Mapping[str, Path]


def newest_set(*places: Path, **filters: Any) -> NewestSet:
    """The newest records that fit the filters and are of one dataset, n and seed.

    Args:
        *places: Folders of runs, or packed files.
        **filters: Of `mmbench.tables.runs.find_records`, which raises where nothing fits.
    """
    sets: dict[Key, list[Entry]] = {}
    for run, r in find_records(*places, **filters):
        sets.setdefault((r.dataset, r.n_expected, r.seed), []).append((run, r))
    shown = max(sets, key=lambda key: max(r.time for _, r in sets[key]))
    where = "".join(f" --out {shlex.quote(str(place))}" for place in places if places != (Path("runs"),))
    joined, others = join_submissions(sets, shown)
    records, notes = _tell_apart(joined)
    homes = {run.spec.run_id: shlex.join(name_out(run.home)) for run, _ in joined}
    records, left_out = _keep_comparable(records, homes)
    notes += [*left_out, *note_unequal(records, homes)]
    for key, found in others.items():
        names = ", ".join(dict.fromkeys(r.system for _, r in found))
        command = f"mmbench table -d {shlex.quote(key[0])} -n {key[1]} --seed {key[2]}{where}"
        on = "compared with no dataset" if key[0] == "none" else key[0]
        notes.append(f"Not shown, {on} with n = {key[1]} and seed {key[2]}: {names}. try: {command}")
    return NewestSet(records, notes, {run.spec.run_id: run.place for run, _ in joined})


def _tell_apart(found: Sequence[tuple[RunOnRecord, Record]]) -> tuple[list[Record], list[str]]:
    """Records with the options that differ in the names of systems that have several runs.

    Of runs that differ in nothing but the code that made them the latest counts; the others are named.
    """
    by_system: dict[str, dict[str, RunOnRecord]] = {}
    for run, r in found:
        by_system.setdefault(r.system, {})[run.name] = run
    labels: dict[str, str] = {}
    notes: list[str] = []
    latest = dict[str, str]()
    for run, r in found:
        latest[run.name] = max(latest.get(run.name, ""), r.time)
    for system, runs in by_system.items():
        asked: dict[str, list[str]] = {}
        specs = {name: flatten(run.spec.spec) for name, run in runs.items()}
        for name in sorted(runs, key=lambda run: (latest[run], run)):
            asked.setdefault(str(sorted(specs[name].items())), []).append(name)
        for same in asked.values():
            labels[same[-1]] = system
            notes += [f"{name} was made by older code: {same[-1]} is shown." for name in same[:-1]]
        kept = [same[-1] for same in asked.values()]
        if len(kept) > 1:
            told = differing({name: runs[name].spec.spec for name in kept})
            labels |= {name: f"{system} ({label})" for name, label in told.items()}
    records = [replace(r, system=labels[run.name]) for run, r in found if run.name in labels]
    newest: dict[tuple[str, str], Record] = {}
    for r in records:
        if (known := newest.get((r.system, r.metric))) is None or known.time <= r.time:
            newest[r.system, r.metric] = r
    return list(newest.values()), notes


def _keep_comparable(records: Sequence[Record], homes: Mapping[str, str]) -> tuple[list[Record], list[str]]:
    """Of each metric the records that compare with most others; a note for each other one says why it does not."""
    kept: dict[str, list[Record]] = {}
    notes = []
    alike = Counter((r.metric, r.signature, r.weights in UNTRAINED) for r in records)
    order = {id(r): (alike[r.metric, r.signature, r.weights in UNTRAINED], r.time) for r in records}
    for r in sorted(records, key=lambda r: order[id(r)], reverse=True):
        column = kept.setdefault(r.metric, [])
        told = {known.weights: known for known in reversed(column)}  # what compares differs in its weights alone
        try:
            comparable([*told.values(), r], any_n=True)
        except MMBenchError as error:
            what = error.expected.removeprefix("one ")
            command = f"mmbench show {r.run_id} {homes[r.run_id]}".strip()
            notes.append(f"Not shown, {r.metric} of {r.system}: its {what} is not that of the others. try: {command}")
        else:
            column.append(r)
    among = {id(r) for column in kept.values() for r in column}
    return [r for r in records if id(r) in among], notes
