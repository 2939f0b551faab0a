"""Finds what is scored already and sets it side by side: `mmbench compare`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.labels import PROMPT, read_labels, refuse_label
from mmbench.jobs.retyped import retype, without
from mmbench.jobs.scored_sets import choose, find_sets, is_named
from mmbench.registry import lookup
from mmbench.runs.find import name_out, run_folders
from mmbench.scores.records import Scored, read_samples
from mmbench.tables.groups import labels_on_record
from mmbench.tables.newest import newest_set
from mmbench.tables.packed import is_packed, read_recorded
from mmbench.tables.side_by_side import Comparison, compare_sets
from mmbench.tables.table import table_order


def compare(
    names: Sequence[str],
    out: Path,
    baseline: str = "",
    metrics: Sequence[str] = (),
    num: int | None = None,
    by: str = "",
    command: Sequence[str] = (),
) -> Comparison:
    """Sets runs and submissions that are on record side by side.

    Args:
        names: Each a run (folder, id, beginning of an id), clips that were evaluated, wherever they lie now, or a
            packed file, whose runs stand beside without differences.
        out: Folder of runs.
        baseline: One of `names`, or a system's name, that all are compared with.
        metrics: Only these, named with or without their variant.
        num: Only records of this n.
        by: Also by groups of samples: "prompt", or a label that they were evaluated with.
        command: The words that were typed, for what an error says to type.

    Raises:
        UsageError: Fewer than two sets, something that is neither a run nor clips, or no sample has the label.
        MMBenchError: Something has no records, or nothing compares.
    """
    elsewhere = name_out(out)
    typed = command or ["mmbench", "compare", *names, *elsewhere]
    found = find_sets(names, out, typed)
    if len(found) < 2:
        listed = f"mmbench list runs {shlex.join(elsewhere)}".strip()
        known = [r.run_id for records in found.values() for _, r in records]
        others = [f.name for f in run_folders(out) if f.name not in known]
        again = shlex.join([*typed, others[-1]]) if others else listed
        raise UsageError("One set is no comparison.", "two or more", again)
    for name, records in found.items():
        named = [(f, r) for f, r in records if is_named(r, metrics)]
        if not named:
            others = [n for n, known in found.items() if not known or known[0][0].is_dir()]
            raise MMBenchError(f"{name} has no such record.", "scores of it", _score(others, metrics, elsewhere))
        found[name] = [(f, r) for f, r in named if num in (None, r.n_expected)]
        if not found[name]:
            sizes = sorted({r.n_expected for _, r in named})
            again = retype(typed, "--num-samples", str(sizes[-1]), "-n")
            raise MMBenchError(f"{name} has no record of n = {num}.", f"n = {', '.join(map(str, sizes))}", again)
    chosen = [choose(records, list(found.values())) for records in found.values()]
    if by:
        _require_label(dict(zip(found, chosen, strict=True)), by, typed, elsewhere)
    runs = {name: scores[0].record.run_id for name, scores in zip(found, chosen, strict=True)}
    return compare_sets(chosen, runs.get(baseline, baseline), [*found, *elsewhere], by)


def _score(names: Sequence[str], metrics: Sequence[str], elsewhere: Sequence[str]) -> str:
    """The command that scores sets under metrics, with real clips where one of them needs some."""
    entries = [lookup("metric", metric.partition(".")[0]) for metric in metrics]
    real = ["--dataset", "bounce"] if any(getattr(e.factory, "needs_reference", False) for e in entries) else []
    named = [word for metric in metrics for word in ("--metric", metric)]
    return shlex.join(["mmbench", "evaluate", *names, *named, *real, *elsewhere])


def compare_newest(places: Sequence[Path], by: str, command: Sequence[str], **filters: Any) -> Comparison:
    """Sets the systems of `mmbench table` side by side by groups of samples.

    Args:
        places: Folders of runs, or packed files.
        by: "prompt", or a label that samples were evaluated with.
        command: The words that were typed, for what an error says to type.
        **filters: Of `mmbench.tables.runs.find_records`.

    Raises:
        UsageError: No sample of a system has the label.
        MMBenchError: Nothing fits.
    """
    found = newest_set(*places, **filters)
    sets: dict[str, list[Scored]] = {}
    for r in sorted(found.records, key=lambda r: table_order(r.system)):
        sets.setdefault(r.system, []).append(read_recorded(found.places[r.run_id], r))
    _require_label(sets, by, command, name_out(places[0]))
    compared = compare_sets(list(sets.values()), by=by)
    return replace(compared, notes=[*compared.notes, *found.notes])


def _require_label(sets: dict[str, list[Scored]], by: str, typed: Sequence[str], elsewhere: Sequence[str]) -> None:
    """Refuse to group by what no sample of a set has; where a table of prompts has it by now, says to score again."""
    folders = {name: [s for s in scores if not is_packed(s)] for name, scores in sets.items()}
    samples = {n: [row for s in v for row in read_samples(s.folder, s.record)] for n, v in folders.items() if v}
    if not samples:
        raise UsageError("All runs are packed, without samples to group.", "runs", shlex.join(without(typed, "--by")))
    known = {name: labels_on_record(rows) for name, rows in samples.items()}
    lacking = [name for name, labels in known.items() if by not in labels]
    if not lacking:
        return
    named = read_labels(Path(lacking[0]))
    if by != PROMPT and any(by in labels for labels in named.values()):
        found = f"{lacking[0]} was scored before its clips had a {by}."
        words = ["mmbench", "evaluate", *sets, "--by", by, *elsewhere]
        raise UsageError(found, "scores that know it", shlex.join(words))
    refuse_label(lacking[0], by, known, shlex.join(without(typed, "--by")))
