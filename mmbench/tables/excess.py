"""The paired excess of a metric as a number of its own, which tables show before the metric's value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mmbench.scores.records import Record

EXCESS = " excess"  # of a metric's name, before its variant; no metric's own name holds a space


def excess_name(metric: str) -> str:
    """What the excess of a metric is called: "av_align excess.matched"."""
    name, dot, variant = metric.partition(".")
    return name + EXCESS + dot + variant


def scored_name(metric: str) -> str:
    """The metric that a number is of, whether it is its value or its excess."""
    name, dot, variant = metric.partition(".")
    return name.removesuffix(EXCESS) + dot + variant


def is_excess(metric: str) -> bool:
    """Whether a number is the excess of a metric."""
    return metric.partition(".")[0].endswith(EXCESS)


def excess_record(record: Record) -> Record:
    """The excess of a record as a record, which says nothing that the record itself says of its clips."""
    return replace(
        record,
        metric=excess_name(record.metric),
        value=record.excess,
        stderr=record.excess_stderr,
        low=record.excess_low,
        high=record.excess_high,
        baseline=None,
        baseline_stderr=None,
        reference=None,
        details={},
        unscored={},
        excess=None,
        excess_stderr=None,
        excess_low=None,
        excess_high=None,
    )


def note_excess(records: Sequence[Record]) -> list[str]:
    """The lines on what an excess is, and on those that have no interval; none for a table without any."""
    found = [r for r in records if is_excess(r.metric)]
    if not found:
        return []
    notes = [
        "excess: above the same clips in shuffled pairs, so by pairing alone; its error knows the clips are shared."
    ]
    bare = [r for r in found if r.stderr is None and r.n_scored > 1]
    if bare:
        named = _listed(r.system for r in bare)
        notes.append(f"Older records lack the pairs, so the excess has no interval: {named}. try: mmbench evaluate RUN")
    return notes


def _listed(names: Iterable[str], most: int = 4) -> str:
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
