"""Which samples of several columns stand in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmbench.pictures.columns import Column
from mmbench.tables.pairing import PLACE, Pairing, pair_by_content, pair_by_place


def pair_columns(columns: Sequence[Column], num: int) -> tuple[list[list[int | None]], list[str]]:
    """Rows of samples: of each column the index of its sample, None without.

    Runs stand in step. Where there are submissions, the first samples of the first column lead, and the others follow
    as `mmbench compare` pairs them.

    Args:
        columns: At least one.
        num: Samples of runs are those below this index; of submissions the first so many.

    Returns:
        The rows, and notes on what has no partner.
    """
    first = columns[0]
    if not any(c.is_submission for c in columns):
        there = sorted({i for c in columns for i, source in enumerate(c.sources[:num]) if source})
        return [[i if i < len(c.sources) and c.sources[i] else None for c in columns] for i in there], []
    leads = [i for i, source in enumerate(first.sources) if source][:num]
    partners: list[Mapping[int, int]] = [{i: i for i in leads}]
    notes = []
    for other in columns[1:]:
        pairing = _pair(first, other)
        partners.append(dict(pairing.pairs))
        if not pairing.pairs:
            notes.append(f"{other.name} has no clip of a name or prompt that {first.name} has: none is shown.")
        elif pairing.rule != PLACE or not pairing.in_place:
            notes.append(pairing.describe(first.name, other.name))
    return [[partner.get(i) for partner in partners] for i in leads], notes


def _pair(first: Column, other: Column) -> Pairing:
    if first.is_submission or other.is_submission or first.run is None or other.run is None:
        return pair_by_content(first.samples, other.samples)
    if (first.run.dataset, first.run.seed) != (other.run.dataset, other.run.seed):
        return Pairing("", ())
    return pair_by_place(first.samples, other.samples)
