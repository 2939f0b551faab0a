"""One sentence for each metric, with what is sure and what is not."""

from __future__ import annotations

from mmbench.statistics.paired import Difference
from mmbench.tables.compare import Cell
from mmbench.tables.verdicts import tell
from tests.builders import record


def cell(system: str, value: float, p: float, higher: bool = True) -> Cell:
    difference = Difference(value, 0.1, value - 0.2, value + 0.2, p, 64)
    return Cell(record(system=system, higher_is_better=higher), None, difference, p, "base")


def tell_one(*cells: Cell) -> str:
    (sentence,) = tell({"m.v": [Cell(record(system="base")), *cells]}, {"m.v": "m"})
    return sentence


def test_a_metric_has_one_sentence_of_all_systems() -> None:
    sentence = tell_one(cell("a", 0.5, 0.001), cell("b", -0.5, 0.001), cell("c", -0.1, 0.9))
    assert sentence.startswith(
        "m: a is better than base by 0.50 ± 0.10 [0.30, 0.70]; b is worse than base by 0.50 ± 0.10 [0.30, 0.70]; "
        "no sure difference between c and base (-0.10 ± 0.10 [-0.30, +0.10], for which it would take n = "
    )
    assert sentence.count("m: ") == 1


def test_lower_is_better_for_distances() -> None:
    assert tell_one(cell("a", -0.5, 0.001, higher=False)) == "m: a is better than base by 0.50 ± 0.10 [0.30, 0.70]."


def test_a_metric_without_differences_has_none() -> None:
    assert tell({"m.v": [Cell(record(system="base"))]}, {"m.v": "m"}) == []
