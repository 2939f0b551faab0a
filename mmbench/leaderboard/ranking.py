"""Who stands where under each protocol: intervals of ranks, and who is shown without one, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmbench.identity import digest_of
from mmbench.leaderboard.protocol import Protocol, Setting, protocol_of
from mmbench.leaderboard.submission import Entry
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
    samples = [_by_name(e) for e in entries]
    num_paired = 0
    for j, k in combinations(range(len(entries)), 2):
        (names, second), (others, first) = samples[j], samples[k]
        if not names or names != others:
            continue
        d = paired_difference(first, second)
        if d.p_value is not None:
            p[j, k] = d.p_value / 2 if sign * d.value > 0 else 1 - d.p_value / 2
            p[k, j] = 1 - p[j, k] if d.p_value < 1 else p[j, k]
            num_paired += 1
    return p, num_paired


def _by_name(entry: Entry) -> tuple[str, Score]:
    """The score of an entry with values in the order of the samples' names, and what stands for names and prompts.

    Entries of which this is equal pair place by place; it is "" where there are no values.
    """
    r, samples = entry.record, sorted(entry.samples or (), key=lambda sample: sample.id)
    per_sample = np.array([math.nan if s.value is None else s.value for s in samples], np.float64)
    names = "" if np.isnan(per_sample).all() else digest_of([[s.id, s.text] for s in samples])
    return names, Score(r.value or 0.0, r.stderr, r.n_scored, per_sample=per_sample)
