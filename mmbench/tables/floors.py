"""Distances between sets that are no more than what real clips score: too few clips for a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmbench.scores.records import Record
from mmbench.tables.borrowed import CONTROLS, REAL

LITTLE = 2.0  # times the floor: a distance below that is little more than real clips have among themselves


def real_distance(record: Record, column: Sequence[Record]) -> float | None:
    """What real clips score under the metric of `record`, a distance between sets.

    That is the value of `ground_truth` at the same n where it is in the column; else what the distance between random
    halves of the reference foretells for this n; None where neither is known, and for metrics without a reference.
    """
    if not record.reference:
        return None
    real = [r.value for r in column if r.system == REAL and r.n_expected == record.n_expected]
    return next((float(value) for value in real if value is not None), _foretell(record))


def _foretell(record: Record) -> float | None:
    """The distance of as many other real clips as are scored, from that of random halves, which are fewer.

    Two sets of real clips differ by their bias alone, which is c (1/n + 1/N) to first order (arXiv 1911.07023): for
    halves of the N in the reference that is 4 c / N.
    """
    floor, real = record.details.get("floor"), record.details.get("num_reference")
    if floor is None or not real or not record.n_scored:
        return None
    return float(floor) * (float(real) / record.n_scored + 1) / 4


def is_at_floor(record: Record, column: Sequence[Record]) -> bool:
    """Whether a distance is not above what real clips score, so that it is no evidence of quality."""
    floor = real_distance(record, column)
    return record.system != REAL and floor is not None and record.value is not None and record.value <= floor


def note_falling(records: Iterable[Record]) -> list[str]:
    """The line that says of distances to real clips that they fall with n; none for a table without any."""
    return ["Distances fall with n: compare equal n alone."] if any(r.reference for r in records) else []


def note_floors(records: Sequence[Record]) -> list[str]:
    """The line of distances that cannot tell systems: they put real clips last, or are little above what these score.

    Args:
        records: Of distances between sets, of any metrics.
    """
    parts = []
    for metric in dict.fromkeys(r.metric for r in records):
        column = [r for r in records if r.metric == metric and r.value is not None]
        values = {r.system: r.value for r in column if r.value is not None}
        floors = {r.system: real_distance(r, column) for r in column if r.system not in CONTROLS}
        near = [floor for system, floor in floors.items() if floor is not None and values[system] < LITTLE * floor]
        found = []
        if len(set(values.values())) > 1 and values.get(REAL) == max(values.values()):
            found.append(f"puts {REAL} last at n = {column[0].n_expected}")
        if near:
            real = (
                f"{max(near):.3g} of real clips" if REAL in values else f"{max(near):.2g} that real clips would score"
            )
            found.append(f"is less than twice the {real}")
        if found:
            parts.append(f"{metric.partition('.')[0]} {' and '.join(found)}")
    return [f"Too few clips to tell systems: {'; '.join(parts)}."] if parts else []
