"""Anything beside anything: runs and submissions, their samples paired, metric by metric."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmbench.errors import MMBenchError, UsageError
from mmbench.runs.spec import RunSpec
from mmbench.scores.records import Record, Scored, read_samples
from mmbench.statistics.excess import select_samples
from mmbench.tables.compare import Cell, adjust, comparable, make_cell
from mmbench.tables.groups import ALL, note_groups, order_groups, split_pairing, split_score
from mmbench.tables.labels import name_apart
from mmbench.tables.packed import find_spec, is_packed
from mmbench.tables.pairing import PACKED, PLACE, Pairing, pair_by_content, pair_by_place
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


def compare_sets(
    sets: Sequence[Sequence[Scored]],
    baseline: str = "",
    typed: Sequence[str] = (),
    by: str = "",
    even_alone: bool = False,
) -> Comparison:
    """Compares sets of samples under every metric that at least two of them have; one set alone is only grouped.

    Args:
        sets: The scores of each set; all of a set carry one system's name.
        baseline: The system or run id that all are compared with; by default a guided system's pair where that is
            there, else the first set.
        typed: What the sets were called on the command line, for what an error says to type.
        by: Also compare by groups of samples: "prompt", or a label such as a column of the table of prompts.
        even_alone: Give the numbers that one set alone has, too, and none at all where no metric compares.

    Raises:
        UsageError: No set is called `baseline`, or no sample of a set has the label.
        MMBenchError: No metric compares, unless `even_alone`.
    """
    specs = [find_spec(scores[0]) for scores in sets]
    sets = _distinct(sets, specs)
    heads = [scores[0].record for scores in sets]
    opponent = _opponents(heads, [spec.system for spec in specs], baseline, typed)
    paired: dict[tuple[int, int], Pairing] = {}
    columns, left_out = [], []
    shown: list[tuple[str, Scored]] = []
    for metric in dict.fromkeys(s.record.metric for scores in sets for s in scores):
        found = {k: s for k, scores in enumerate(sets) for s in scores if s.record.metric == metric}
        lacking = [heads[k].system for k in range(len(sets)) if k not in found]
        if lacking:
            left_out.append(f"{metric} is not scored for {', '.join(lacking)}.")
        if len(found) < 2 <= len(sets) and not even_alone:
            continue
        if reason := _incomparable([s.record for s in found.values()]):
            left_out.append(reason)
            continue
        pairs = {k: _pair(found[b], s, specs[b], specs[k]) for k, s in found.items() if (b := opponent[k]) in found}
        paired = {(opponent[k], k): pairing for k, pairing in pairs.items() if opponent[k] != k} | paired
        for group, part, within in _split(found, pairs, opponent, by) if by else [("", found, pairs)]:
            columns.append([replace(_cell(k, part, opponent[k], within.get(k)), group=group) for k in part])
            shown += [(group, s) for s in part.values()]
    if not columns and not even_alone:
        names = " ".join(typed or [head.run_id for head in heads])
        raise MMBenchError(" ".join(["No metric compares.", *left_out]), "one", f"mmbench evaluate {names}")
    columns = adjust(columns)
    notes = [
        p.describe(heads[a].system, heads[b].system)
        for (a, b), p in paired.items()
        if p.rule != PLACE or not p.in_place
    ]
    groups = note_groups(shown, by) if by else []
    return Comparison(columns, [*notes, *left_out, *_note_sizes(columns), *groups])


def _split(
    column: Mapping[int, Scored], pairs: Mapping[int, Pairing], opponent: Sequence[int], by: str
) -> Iterator[tuple[str, Mapping[int, Scored], Mapping[int, Pairing]]]:
    """The scores of a metric by groups, `ALL` first: of each the scores of the sets that have it, and their pairings.

    Args:
        column: Scores by set.
        pairs: How the samples of each set pair with those of its opponent.
        opponent: The set that each is compared with.
        by: "prompt" or a label.
    """
    yield ALL, column, pairs
    groups = {k: split_score(scored, by) for k, scored in column.items()}
    within = {k: split_pairing(pairing, groups[opponent[k]], groups[k]) for k, pairing in pairs.items()}
    for name in order_groups(name for known in groups.values() for name in known):
        part = {k: known[name].scored for k, known in groups.items() if name in known}
        yield name, part, {k: pairings[name] for k, pairings in within.items() if name in pairings}


def _cell(k: int, column: Mapping[int, Scored], base: int, pairing: Pairing | None) -> Cell:
    """The cell of set k in a column, compared with set `base` where that is another one and in the column, too."""
    if base == k or base not in column or pairing is None:
        return make_cell(column[k], column[k], None)
    return make_cell(column[k], column[base], _align(column[base], column[k], pairing))


def _distinct(sets: Sequence[Sequence[Scored]], specs: Sequence[RunSpec]) -> list[list[Scored]]:
    """The sets, with the options that differ at systems' names that several have."""
    heads = [(scores[0].record, spec) for scores, spec in zip(sets, specs, strict=True)]
    names = name_apart([(record.system, spec.run_id, spec.spec) for record, spec in heads])
    return [
        [replace(s, record=replace(s.record, system=name)) for s in scores]
        for scores, name in zip(sets, names, strict=True)
    ]


def _opponents(heads: Sequence[Record], systems: Sequence[str], baseline: str, typed: Sequence[str]) -> list[int]:
    """Whom each set is compared with: `baseline`, else a guided system's base with the same options, else the first.

    Args:
        heads: A record of each set, under the name that tells it apart.
        systems: What their systems are called.
        baseline: As of `compare_sets`.
        typed: The same.
    """
    if not baseline:
        return [_find_base(heads, systems, k) for k in range(len(heads))]
    matches = [k for k, r in enumerate(heads) if baseline in (r.system, systems[k]) or r.run_id.startswith(baseline)]
    if len(matches) != 1:
        names = ", ".join(f"{r.system} ({r.run_id})" for r in heads)
        found = f"{len(matches) or 'None'} of what is compared is called {baseline!r}: {names}."
        command = " ".join(["mmbench compare", *(typed or [head.run_id for head in heads])])
        raise UsageError(found, "one of them", f"{command} --baseline {heads[0].run_id}")
    return matches * len(heads)


def _find_base(heads: Sequence[Record], systems: Sequence[str], k: int) -> int:
    base, guided, _ = systems[k].partition("+")
    options = heads[k].system.removeprefix(systems[k])
    bases = [j for j, system in enumerate(systems) if guided and system == base and heads[j].seed == heads[k].seed]
    alike = [j for j in bases if heads[j].system.removeprefix(base) == options]
    return (alike or bases or [0])[0]


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
    if is_packed(a) or is_packed(b):
        return Pairing(PACKED, ())
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
        return select_samples(a.score, mine), select_samples(b.score, theirs)
    if a.score.replicates is None or b.score.replicates is None or a.record.seed != b.record.seed:
        return None
    same = pairing.in_place and a.absent == b.absent and a.score.num_scored == b.score.num_scored
    return (a.score, b.score) if same and b.score.num_scored > 1 else None
