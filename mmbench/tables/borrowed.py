"""Numbers that are another system's: its metric looks at the half of the clips, video or sound, that both share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmbench.scores.records import Record

REAL = "ground_truth"  # never borrows: what others share with it are real halves
CONTROLS = (REAL, "independent")  # made of real halves: no system to be the best, or to be too near to real clips


def find_owners(records: Sequence[Record], against: Sequence[str] = ()) -> list[str]:
    """For each record of a metric the system whose number it is; "" for a number of its own.

    A run says whose videos it shows (`Record.video_of`). Of other halves, such as the videos of `independent` or the
    same clips with other sound, equal numbers tell: value, error and shuffled baseline agree to the last bit where the
    features do. Equal values without an error are no evidence, for constants coincide; nor is an equal mean of few
    counts, whose shuffled pairs differ.

    Args:
        records: Of one metric, in the order of the table.
        against: The system that each is compared with, "" for none.
    """
    owners = [record.video_of if _shows_videos(record, records) else "" for record in records]
    for i, record in enumerate(records):
        named = [r for r in records if against and r.system == against[i] and r is not record]
        if not owners[i] and any(_is_same(r, record) for r in named):
            owners[i] = against[i]
    for i, record in enumerate(records):
        if owners[i] or record.system == REAL:
            continue
        first = [r for j, r in enumerate(records) if not owners[j] and r is not record and (j < i or r.system == REAL)]
        owners[i] = next((r.system for r in first if _is_same(r, record)), "")
    return owners


def note_borrowed(owners: Mapping[str, str]) -> list[str]:
    """The line that explains parentheses, if there are any.

    Args:
        owners: The system whose half another one shows, by that one's name.
    """
    if not owners:
        return []
    whose = ", ".join(f"{system} of {owner}" for system, owner in owners.items())
    return [f"( ): the number of another system, whose video or sound it is: {whose}; no difference."]


def _shows_videos(record: Record, column: Sequence[Record]) -> bool:
    return any(r.system == record.video_of and r.value == record.value for r in column)


def _is_same(a: Record, b: Record) -> bool:
    return bool(a.stderr) and (a.value, a.stderr, a.baseline, a.seed) == (b.value, b.stderr, b.baseline, b.seed)
