"""Distances between sets that are no more than what real clips score: too few clips for a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmbench.scores.records import Record
from mmbench.tables.borrowed import CONTROLS, REAL

LITTLE = 2.0  # times the floor: a distance below that is little more than real clips have among themselves


def real_distance(record: Record, column: Sequence[Record]) -> float | None:
    """What real clips score under the metric of `record`, a distance between sets.

    That is the value of `ground_truth` at the same n where it is in the column; else the floor, the distance between
    random halves of the reference; None where neither is known, and for metrics without a reference.
    """
    if not record.reference:
        return None
    real = [r.value for r in column if r.system == REAL and r.n_expected == record.n_expected]
    known = next((value for value in real if value is not None), record.details.get("floor"))
    return None if known is None else float(known)


def is_at_floor(record: Record, column: Sequence[Record]) -> bool:
    """Whether a distance is not above what real clips score, so that it is no evidence of quality."""
    floor = real_distance(record, column)
    return record.system != REAL and floor is not None and record.value is not None and record.value <= floor


def note_falling(records: Iterable[Record]) -> list[str]:
    """The line that says of distances to real clips that they fall with n; none for a table without any."""
    return ["Distances fall with n: compare equal n alone."] if any(r.reference for r in records) else []


def note_floors(records: Sequence[Record]) -> list[str]:
    """A line for each distance that cannot tell systems: it puts real clips last, or is little above what they score.

    Args:
        records: Of distances between sets, of any metrics.
    """
    notes = []
    for metric in dict.fromkeys(r.metric for r in records):
        column = [r for r in records if r.metric == metric and r.value is not None]
        values = {r.system: r.value for r in column if r.value is not None}
        floors = {r.system: real_distance(r, column) for r in column if r.system not in CONTROLS}
        near = [floor for system, floor in floors.items() if floor is not None and values[system] < LITTLE * floor]
        found = []
        if len(set(values.values())) > 1 and values.get(REAL) == max(values.values()):
            found.append(f"puts {REAL} last at n = {column[0].n_expected}")
        if near:
            whose = "of real clips" if REAL in values else "between random halves of the real clips"
            found.append(f"is less than twice the {max(near):.3g} {whose}")
        if found:
            notes.append(f"{metric.partition('.')[0]} {' and '.join(found)}: too few clips to tell systems.")
    return notes
