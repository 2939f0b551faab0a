"""Distances that are no more than what real clips score are flagged, and so are those that put real clips last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mmbench.scores.records import Record
from mmbench.tables.floors import is_at_floor, note_floors, real_distance
from mmbench.tables.table import pivot
from tests.builders import record


def distance(system: str, value: float, n: int = 16, floor: float | None = 31.4, **changes: Any) -> Record:
    """A Fréchet distance on record."""
    about = {"metric": "fvd.x", "higher_is_better": False, "reference": {"dataset": "d", "n": n}}
    counts = {"n_expected": n, "n_present": n, "n_scored": n}
    details = {"floor": floor, "num_reference": n}
    return record(system=system, run_id=system, value=value, details=details, **about, **counts, **changes)


# the fvd_bounce of the default job at n = 16
AT_16 = [distance("ground_truth", 16.1), distance("tiny", 12.0), distance("tiny_cascade", 12.9)]


def test_a_distance_that_puts_ground_truth_last_is_flagged() -> None:
    (note,) = note_floors(AT_16)
    found = "fvd puts ground_truth last at n = 16 and is less than twice the 16.1 of real clips"
    assert note == f"Too few clips to tell systems: {found}."
    layout = pivot(AT_16)
    assert [row.cells[0].mark for row in layout.table] == ["", "~", "~"]
    assert note in layout.notes
    assert any(line.startswith("~ not above what real clips score") for line in layout.notes)


def test_distances_far_above_their_floor_are_not_flagged() -> None:
    far = [distance("ground_truth", 0.456, 512, 1.24), distance("tiny", 2.03, 512, 1.24)]
    assert note_floors(far) == []
    assert not any(is_at_floor(r, far) for r in far)
    assert "Distances fall with n: compare equal n alone. Real clips: 512 of d." in pivot(far).notes


@pytest.mark.parametrize(("value", "flagged", "little"), [(1.4, True, True), (2.9, False, True), (3.1, False, False)])
def test_without_ground_truth_halves_foretell_what_real_clips_score(value: float, flagged: bool, little: bool) -> None:
    """Halves of n real clips are 3.0 apart, so that n against n are 1.5 apart: no 2.9 is "not above real clips"."""
    mine = distance("mine", value, floor=3.0)
    assert real_distance(mine, [mine]) == 1.5
    assert is_at_floor(mine, [mine]) == flagged
    assert bool(note_floors([mine])) == little


@pytest.mark.parametrize(
    ("floor", "clips", "truth"),
    [(31.4, 16, 16.1), (1.075, 512, 0.562), (0.788, 512, 0.358), (2.137, 256, 0.978), (1.244, 512, 0.456)],
)
def test_what_halves_foretell_is_near_what_ground_truth_scored(floor: float, clips: int, truth: float) -> None:
    """Of fvd_bounce and fad_bounce in results/tiny; the floor itself is twice the truth and more."""
    mine = distance("mine", 1.0, clips, floor)
    foretold = real_distance(mine, [mine])
    assert foretold is not None
    assert 0.9 < foretold / truth < 1.4 < 1.9 < floor / truth


def test_fewer_clips_than_the_reference_has_score_higher() -> None:
    few = replace(distance("mine", 1.0, 16, 4.0), n_expected=4, n_scored=4)
    assert real_distance(few, [few]) == 5.0


def test_several_distances_share_a_line() -> None:
    both = [distance("mine", 1.0), replace(distance("mine", 2.0), metric="fad.y")]
    (note,) = note_floors(both)
    assert note.count("Too few clips") == 1
    assert "fvd is less than twice the 16 that real clips would score; fad is less" in note


def test_other_n_and_unknown_floors_say_nothing() -> None:
    assert real_distance(distance("mine", 2.0, floor=None), [distance("ground_truth", 9.0, n=8)]) is None
    assert real_distance(record(), [record(system="ground_truth")]) is None
    assert not is_at_floor(record(), [record(system="ground_truth", value=9.0)])


def test_a_table_of_scores_alone_has_no_line_about_distances() -> None:
    assert not any("Distances fall" in note for note in pivot([record(system="a"), record(system="b")]).notes)
