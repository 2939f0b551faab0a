"""Who stands where under each protocol: intervals of ranks, and who is shown without one, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.leaderboard.protocol import Protocol, Setting, protocol_of
from mmbench.leaderboard.submission import Entry, Sample
from mmbench.statistics.paired import paired_difference
from mmbench.statistics.ranks import rank_intervals, welch_p_values
from mmbench.tables.borrowed import CONTROLS
from mmbench.types import Score

CONTROL, OPTIMISED, INCOMPLETE = "control", "optimised for it", "incomplete"
OLDER, NO_ERROR = "older version", "no standard error"


@dataclass(frozen=True)
class Row:
    """An entry in its ranking.

    Attributes:
        entry: The number, and whose it is.
        first, last: Between which places it surely stands; None where it is not ranked.
        why: Why it is not; "" where it is.
    """

    entry: Entry
    first: int | None = None
    last: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Ranking:
    """The rows of one protocol, the best value first.

    Attributes:
        protocol: What they share.
        rows: Ranked or not.
        num_ranked: How many are.
        num_paired: Pairs of ranked ones that were compared sample by sample.
    """

    protocol: Protocol
    rows: tuple[Row, ...]
    num_ranked: int
    num_paired: int


def rank_all(entries: Sequence[Entry]) -> list[Ranking]:
    """A ranking for each protocol among entries, those of one setting together; first where most systems are."""
    groups: dict[Protocol, list[Entry]] = {}
    systems: dict[Setting, set[tuple[str, str, str]]] = {}
    for entry in entries:
        protocol = protocol_of(entry)
        groups.setdefault(protocol, []).append(entry)
        systems.setdefault(protocol.setting, set()).add(entry.key)

    def order(protocol: Protocol) -> tuple[object, ...]:
        s = protocol.setting
        which = s.dataset, -s.n, s.seed, s.dataset_digest, s.prompts
        return s.untrained, -len(systems[s]), *which, protocol.metric, protocol.id

    return [rank_entries(protocol, groups[protocol]) for protocol in sorted(groups, key=order)]


def rank_entries(protocol: Protocol, entries: Sequence[Entry]) -> Ranking:
    """The ranking of entries of one protocol.

    Each pair of ranked entries is tested: sample by sample where both sent the same samples with values, else by
    Welch's t test of their values and standard errors.
    """
    newest: dict[tuple[str, str], Entry] = {}
    for entry in sorted(entries, key=lambda e: (e.author.date, e.record.time, e.origin)):
        newest[entry.author.team, entry.record.system] = entry
    current = {id(entry) for entry in newest.values()}
    why = {id(e): _why_not(e) or (OLDER if id(e) not in current else "") for e in entries}
    ranked = [e for e in entries if not why[id(e)]]
    p_values, num_paired = _test_all(ranked, protocol.higher_is_better)
    places = {id(e): place for e, place in zip(ranked, rank_intervals(p_values), strict=True)}
    rows = [Row(e, *places[id(e)]) if id(e) in places else Row(e, why=why[id(e)]) for e in entries]
    sign = -1 if protocol.higher_is_better else 1

    def order(row: Row) -> tuple[object, ...]:
        value = row.entry.record.value
        return value is None, sign * (value or 0.0), row.entry.key, row.entry.origin

    return Ranking(protocol, tuple(sorted(rows, key=order)), len(ranked), num_paired)


def _why_not(entry: Entry) -> str:
    r = entry.record
    if r.system in CONTROLS:
        return CONTROL
    if r.optimised_for:
        return OPTIMISED
    if r.n_failed or r.n_missing:
        return INCOMPLETE
    return "" if r.stderr is not None and r.value is not None else NO_ERROR


def _test_all(entries: Sequence[Entry], higher_is_better: bool) -> tuple[np.ndarray, int]:
    """One-sided p-values of "j is not better than k" as `rank_intervals` takes them, and how many pairs are paired."""
    sign = 1.0 if higher_is_better else -1.0
    values = np.array([sign * (e.record.value or 0.0) for e in entries])
    stderrs = np.array([math.nan if e.record.stderr is None else e.record.stderr for e in entries])
    p = welch_p_values(values, stderrs, np.array([float(e.record.n_scored) for e in entries]))
    num_paired = 0
    for j, a in enumerate(entries):
        for k in range(j):
            scores = pair_samples(entries[k], a)
            if scores is None:
                continue
            d = paired_difference(*scores)
            if d.p_value is not None:
                p[j, k] = d.p_value / 2 if sign * d.value > 0 else 1 - d.p_value / 2
                p[k, j] = 1 - p[j, k] if d.p_value < 1 else p[j, k]
                num_paired += 1
    return p, num_paired


def pair_samples(a: Entry, b: Entry) -> tuple[Score, Score] | None:
    """Scores of two entries in which equal places are one sample of the same name and prompt; None where none pair."""
    first, second = _by_name(a.samples), _by_name(b.samples)
    if not first or {k: s.text for k, s in first.items()} != {k: s.text for k, s in second.items()}:
        return None
    scores = [_score(entry, [samples[k].value for k in sorted(first)]) for entry, samples in ((a, first), (b, second))]
    return (scores[0], scores[1])


def _by_name(samples: Sequence[Sample] | None) -> dict[str, Sample]:
    """Samples by name, if any has a value."""
    known = samples or ()
    return {s.id: s for s in known} if any(s.value is not None for s in known) else {}


def _score(entry: Entry, values: Sequence[float | None]) -> Score:
    r = entry.record
    per_sample = np.array([math.nan if v is None else v for v in values], np.float64)
    return Score(r.value if r.value is not None else math.nan, r.stderr, r.n_scored, per_sample=per_sample)
