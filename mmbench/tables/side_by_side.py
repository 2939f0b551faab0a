"""Anything beside anything: runs and submissions, their samples paired, metric by metric."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmbench.errors import MMBenchError, UsageError
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import read_manifest
from mmbench.scores.records import Record, Scored, read_samples
from mmbench.tables.compare import Cell, adjust, comparable, find_opponent, make_cell
from mmbench.tables.pairing import PLACE, Pairing, pair_by_content, pair_by_place
from mmbench.types import Score


@dataclass(frozen=True)
class Comparison:
    """Cells by metric, and what a reader must know of them.

    Attributes:
        columns: The cells of each metric, p-values corrected over all of them.
        notes: How samples paired, what was left out and why.
    """

    columns: list[list[Cell]]
    notes: list[str]


def compare_sets(sets: Sequence[Sequence[Scored]], baseline: str = "", typed: Sequence[str] = ()) -> Comparison:
    """Compares sets of samples under every metric that at least two of them have.

    Args:
        sets: The scores of each set; all of a set carry one system's name.
        baseline: The system or run id that all are compared with; by default a guided system's pair where that is
            there, else the first set.
        typed: What the sets were called on the command line, for what an error says to type.

    Raises:
        UsageError: No set is called `baseline`.
        MMBenchError: No metric compares.
    """
    sets = _distinct(sets)
    heads = [scores[0].record for scores in sets]
    opponent = _opponents(heads, baseline, typed)
    specs = [read_manifest(scores[0].folder) for scores in sets]
    paired: dict[tuple[int, int], Pairing] = {}
    columns, left_out = [], []
    for metric in dict.fromkeys(s.record.metric for scores in sets for s in scores):
        found = {k: s for k, scores in enumerate(sets) for s in scores if s.record.metric == metric}
        lacking = [heads[k].system for k in range(len(sets)) if k not in found]
        if lacking:
            left_out.append(f"{metric} is not scored for {', '.join(lacking)}.")
        if len(found) < 2:
            continue
        if reason := _incomparable([s.record for s in found.values()]):
            left_out.append(reason)
            continue
        cells = []
        for k, scored in found.items():
            base = opponent[k]
            scores_of_pairs = None
            if base != k and base in found:
                pairing = _pair(found[base], scored, specs[base], specs[k])
                paired.setdefault((base, k), pairing)
                scores_of_pairs = _align(found[base], scored, pairing)
            cells.append(make_cell(scored, found.get(base, scored), scores_of_pairs))
        columns.append(cells)
    if not columns:
        names = " ".join(typed or [head.run_id for head in heads])
        raise MMBenchError(" ".join(["No metric compares.", *left_out]), "one", f"mmbench evaluate {names}")
    columns = adjust(columns)
    notes = [
        p.describe(heads[a].system, heads[b].system)
        for (a, b), p in paired.items()
        if p.rule != PLACE or not p.in_place
    ]
    return Comparison(columns, [*notes, *left_out, *_note_sizes(columns)])


def _distinct(sets: Sequence[Sequence[Scored]]) -> list[list[Scored]]:
    """The sets, with eight digits of the run's digest at systems' names that several have."""
    names = [scores[0].record.system for scores in sets]
    return [
        [
            s
            if names.count(s.record.system) == 1
            else replace(s, record=replace(s.record, system=f"{s.record.system} ({s.record.digest[:8]})"))
            for s in scores
        ]
        for scores in sets
    ]


def _opponents(heads: Sequence[Record], baseline: str, typed: Sequence[str]) -> list[int]:
    if not baseline:
        return [find_opponent(heads, k) for k in range(len(heads))]
    matches = [k for k, r in enumerate(heads) if r.system == baseline or r.run_id.startswith(baseline)]
    if len(matches) != 1:
        names = ", ".join(f"{r.system} ({r.run_id})" for r in heads)
        found = f"{len(matches) or 'None'} of what is compared is called {baseline!r}: {names}."
        command = " ".join(["mmbench compare", *(typed or [head.run_id for head in heads])])
        raise UsageError(found, "one of them", f"{command} --baseline {heads[0].run_id}")
    return matches * len(heads)


def _incomparable(records: Sequence[Record]) -> str:
    """Why records do not compare; "" if they do. Sizes of clips may differ, and n and dataset for means over samples.

    A mean over samples is compared over those that pair, a distance between sets over all.
    """
    clear = [replace(r, signature=re.sub(r"\|size:[^|]*", "", r.signature)) for r in records]
    if all(r.reference is None for r in clear):
        clear = [replace(r, dataset="", n_expected=0) for r in clear]
    try:
        comparable(clear)
    except MMBenchError as error:
        return f"Left out: {error.found}"
    return ""


def _note_sizes(columns: Sequence[Sequence[Cell]]) -> list[str]:
    sizes: dict[str, None] = {}
    for record in (cell.record for column in columns for cell in column):
        if match := re.search(r"\|size:([^|]*)", record.signature):
            sizes[f"{record.system}: {match[1]}"] = None
    if len({s.split(": ", 1)[1] for s in sizes}) < 2:
        return []
    return [f"Clips differ in length, size or rates, which some metrics feel: {'; '.join(sizes)}."]


def _pair(a: Scored, b: Scored, first: RunSpec, second: RunSpec) -> Pairing:
    rows = read_samples(a.folder, a.record), read_samples(b.folder, b.record)
    if "submission" in first.spec or "submission" in second.spec:
        return pair_by_content(*rows)
    if (first.dataset, first.seed) != (second.dataset, second.seed):
        return Pairing("", ())
    return pair_by_place(*rows)


def _align(a: Scored, b: Scored, pairing: Pairing) -> tuple[Score, Score] | None:
    """Two scores in which equal places are the same samples; None where fewer than two samples pair."""
    if a.score.per_sample is not None and b.score.per_sample is not None:
        mine, theirs = (np.array([pair[k] for pair in pairing.pairs], int) for k in (0, 1))
        values = a.score.per_sample[mine], b.score.per_sample[theirs]
        if np.count_nonzero(~np.isnan(values[1] - values[0])) < 2:
            return None
        return replace(a.score, per_sample=values[0]), replace(b.score, per_sample=values[1])
    if a.score.replicates is None or b.score.replicates is None or a.record.seed != b.record.seed:
        return None
    same = pairing.in_place and a.absent == b.absent and a.score.num_scored == b.score.num_scored
    return (a.score, b.score) if same and b.score.num_scored > 1 else None
