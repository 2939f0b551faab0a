"""Whose a number is: a half of the clips that two systems share has one number and no difference."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.scores.records import Record
from mmbench.statistics.paired import paired_difference
from mmbench.tables.borrowed import find_owners
from mmbench.tables.compare import Cell, adjust
from mmbench.tables.system_rows import lay_out_comparison
from mmbench.types import Score
from tests.builders import record

VIDEO = {"value": 3.84, "stderr": 0.74}
OTHER = {"value": 4.76, "stderr": 0.65}


def named(*systems: tuple[str, dict[str, float]], **changes: str) -> list[Record]:
    """Records of systems with their numbers."""
    return [record(system=system, run_id=system, **numbers, **changes) for system, numbers in systems]


@pytest.mark.parametrize("first", ["ground_truth", "independent"])
def test_real_clips_own_their_halves_whatever_the_order(first: str) -> None:
    pair = [("ground_truth", VIDEO), ("independent", VIDEO)]
    records = named(*(pair if first == "ground_truth" else pair[::-1]), ("tiny", OTHER))
    owners = dict(zip([r.system for r in records], find_owners(records), strict=True))
    assert owners == {"ground_truth": "", "independent": "ground_truth", "tiny": ""}


def test_a_run_says_whose_videos_it_shows() -> None:
    cascade = record(system="cascade", video_of="tiny", **OTHER)
    assert find_owners([cascade, *named(("tiny", OTHER))]) == ["tiny", ""]


def test_whom_a_number_is_compared_with_owns_it() -> None:
    records = named(("a", OTHER), ("b", OTHER))
    assert find_owners(records) == ["", "a"]
    assert find_owners(records, ["b", ""]) == ["b", ""]


@pytest.mark.parametrize("numbers", [{"value": 1.0, "stderr": 0.0}, {"value": 1.0, "stderr": None}])
def test_constants_coincide_without_being_anothers(numbers: dict[str, float]) -> None:
    assert find_owners(named(("a", numbers), ("b", numbers))) == ["", ""]


def test_equal_numbers_of_other_seeds_are_no_evidence() -> None:
    records = [record(system="a", seed=0, **OTHER), record(system="b", seed=1, **OTHER)]
    assert find_owners(records) == ["", ""]


def test_equal_means_of_other_clips_are_told_by_their_shuffled_pairs() -> None:
    records = [record(system=name, baseline=chance, **OTHER) for name, chance in (("a", 0.475), ("b", 0.429))]
    assert find_owners(records, ["", "a"]) == ["", ""]


def test_a_borrowed_number_has_no_difference_and_does_not_count_for_holm() -> None:
    values = np.random.default_rng(0).normal(size=8)
    scores = [Score(0.0, 0.1, 8, per_sample=values + shift * np.linspace(0.9, 1.1, 8)) for shift in (0, 0, 1)]
    records = named(("ground_truth", VIDEO), ("independent", VIDEO), ("tiny", OTHER))
    cells = [Cell(records[0], scores[0])]
    for r, score in zip(records[1:], scores[1:], strict=True):
        cells.append(Cell(r, score, paired_difference(scores[0], score), against="ground_truth"))
    assert cells[1].difference is not None
    assert cells[1].difference.value == 0, "what would be printed as +0.000 ± 0.000 [+0.000, +0.000]"
    (column,) = adjust([cells])
    assert (column[1].difference, column[1].wins, column[1].same_as) == (None, None, "ground_truth")
    assert cells[2].difference is not None
    assert column[2].p_adjusted == cells[2].difference.p_value, "one question is asked, not two"
    layout = lay_out_comparison([column])
    assert [row.cells[0].to_text() for row in layout.table] == ["3.84 ± 0.74", "(3.84 ± 0.74)", "4.76 ± 0.65"]
    assert any("( ): the number of another system" in n and "independent of ground_truth" in n for n in layout.notes)
