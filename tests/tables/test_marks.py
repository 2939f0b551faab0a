"""Marks say which way a difference goes, whichever direction of the metric is good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmbench.statistics.paired import Difference
from mmbench.tables.compare import Cell
from mmbench.tables.marks import explain_marks, mark_of, needed_text, note_needs, note_shuffled
from tests.builders import record


def compared(value: float, p: float, higher: bool = True, system: str = "b", against: str = "a") -> Cell:
    """A cell with a difference."""
    r = record(system=system, run_id=system, higher_is_better=higher)
    return Cell(r, difference=Difference(value, 0.1, value - 0.2, value + 0.2, p, 8), p_adjusted=p, against=against)


@pytest.mark.parametrize(
    ("value", "higher", "mark"), [(0.5, True, "*"), (-0.5, True, "†"), (0.5, False, "†"), (-0.5, False, "*")]
)
def test_better_and_worse_have_marks_of_their_own(value: float, higher: bool, mark: str) -> None:
    cell = compared(value, 0.01, higher)
    assert mark_of(cell, [cell.record]) == mark
    assert mark_of(replace(cell, p_adjusted=0.06), [cell.record]) == ""


def test_the_legend_says_whom_each_system_is_compared_with() -> None:
    cells = [compared(0.5, 0.01), compared(0.5, 0.2, system="c+mmdisco", against="c")]
    (line,) = explain_marks(cells, ["*", ""])
    assert line == "* better, † worse than a (c+mmdisco: than c); p < 0.05, paired by sample, after Holm."
    assert explain_marks([Cell(record())], [""]) == []


def test_what_is_not_significant_says_the_n_it_takes() -> None:
    near = compared(0.05, 0.6)
    assert near.needs is not None
    (line,) = note_needs([near, compared(5.0, 0.001, system="c")])
    assert line == f"Not significant; n needed at the observed difference, 80 % power: b: m {needed_text(near.needs)}."
    assert note_needs([compared(5.0, 0.001)]) == []
    assert [needed_text(n) for n in (1843, 3_547_425)] == ["1,900", "> 100,000"]


def test_a_number_that_a_system_was_optimised_for_says_so_wherever_it_stands() -> None:
    cell = compared(0.5, 0.01, system="a+bestof-4")
    chosen = replace(cell, record=replace(cell.record, optimised_for="ib_av.official"))
    assert mark_of(chosen, [chosen.record]) == "*‡"
    assert mark_of(replace(chosen, p_adjusted=0.5), [chosen.record]) == "‡"
    assert mark_of(replace(chosen, same_as="a"), [chosen.record]) == "*"
    loser = compared(-0.5, 0.01, system="c", against="a+bestof-4")
    assert mark_of(loser, [chosen.record, loser.record]) == "†‡", "worse than a system that was chosen by it"
    lines = explain_marks([chosen, compared(0.5, 0.01)], ["*‡", "*"])
    assert lines[1].startswith("‡ no independent evidence")
    assert "(a+bestof-4 by ib_av.official)" in lines[1]
    assert not any(line.startswith("‡") for line in explain_marks([cell], ["*"]))


def test_chance_is_told_row_by_row() -> None:
    records = [record(system=s, baseline=b) for s, b in (("a", 0.314), ("b", -0.00001), ("c", None))]
    assert note_shuffled(records) == ["By chance (shuffled pairs), row by row: m 0.314, 0.000, none."]
    assert note_shuffled([record(baseline=0.314)]) == ["By chance (shuffled pairs): m 0.314."]
    assert note_shuffled(records[:2], "all") == ["By chance (shuffled pairs), row by row of all: m 0.314, 0.000."]
    assert note_shuffled([record()]) == []


def test_chance_keeps_to_the_rows_where_a_metric_lacks_some() -> None:
    several = [("b", "m", 0.2), ("c", "m", 0.3), ("a", "k", 0.11), ("b", "k", 0.22), ("c", "k", 0.33)]
    (line,) = note_shuffled([record(system=s, metric=f"{m}.v", baseline=b) for s, m, b in several])
    assert line.endswith("row by row: m 0.200, 0.300, none; k 0.220, 0.330, 0.110.")


def test_two_variants_of_one_metric_are_told_apart_below_the_table() -> None:
    records = [record(metric=m, baseline=0.5) for m in ("desync.a", "desync.b", "ib.c")]
    assert note_shuffled(records)[0].endswith("desync.a 0.500; desync.b 0.500; ib 0.500.")
    near = compared(0.05, 0.6)
    (line,) = note_needs([replace(near, record=replace(near.record, metric=m)) for m in ("desync.a", "desync.b")])
    assert "b: desync.a " in line
    assert ", desync.b " in line
