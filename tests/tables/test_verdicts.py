"""The verdict on guidance, and one sentence for each metric, with what is sure and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmbench.statistics.excess import subtract_excess
from mmbench.statistics.paired import Difference
from mmbench.tables.compare import Cell, table_of
from mmbench.tables.format import interval_text, signed
from mmbench.tables.verdicts import conclude, tell
from tests.builders import record
from tests.tables.test_excess import scored


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


QUALITY = "fad.v"


def quality_cell(system: str, value: float, p: float, **changes: str) -> Cell:
    """A distance of a system, its difference to tiny in `value`."""
    difference = Difference(value, 0.1, value - 0.2, value + 0.2, p, 24)
    about = record(system=system, metric=QUALITY, higher_is_better=False)
    return Cell(about, None, difference, p, "tiny", **changes)


def conclude_one(gain: float, quality: float, p: float) -> str:
    """The verdict on a pair whose guidance pairs better by `gain`, beside its cascade and real clips."""
    systems = {"ground_truth": 0.4, "tiny": 0.1, "tiny_cascade": 0.3, "tiny+mmdisco": 0.1 + gain}
    columns = table_of([scored(system, 0.0, paired) for system, paired in systems.items()])
    cascade = replace(quality_cell("tiny_cascade", 0.0, 1.0), difference=None, against="", same_as="tiny")
    columns.append([Cell(record(system="tiny", metric=QUALITY)), cascade, quality_cell("tiny+mmdisco", quality, p)])
    (verdict,) = conclude(columns)
    return verdict


@pytest.mark.parametrize(
    ("gain", "quality", "p", "said"),
    [
        (0.1, 0.5, 0.001, ("guidance helps against tiny", "Quality: worse by fad +0.50")),
        (0.0, -0.5, 0.001, ("no sure gain against tiny", "Quality: better by fad -0.50")),
        (-0.3, 0.1, 0.9, ("guidance harms against tiny", "Quality: not surely worse by fad.")),
    ],
)
def test_the_verdict_says_gain_quality_and_distance(
    gain: float, quality: float, p: float, said: tuple[str, str]
) -> None:
    verdict = conclude_one(gain, quality, p)
    for words in said:
        assert words in verdict
    mine = scored("tiny+mmdisco", 0.0, 0.1 + gain).score
    for other, paired in (("tiny_cascade", 0.3), ("ground_truth", 0.4)):
        d = subtract_excess(scored(other, 0.0, paired).score, mine)
        by = f"{signed(d.value, d.stderr)} {interval_text(d.low, d.high, d.stderr, sign=True)}"
        assert f"to {other} av_align excess {by}" in verdict


def test_what_was_chosen_by_a_metric_helps_by_none() -> None:
    cells = [scored("tiny", 0.0, 0.1), scored("tiny+bestof-4", 0.0, 0.4)]
    cells[1] = replace(cells[1], record=replace(cells[1].record, optimised_for="av_align.matched"))
    (verdict,) = conclude(table_of(cells))
    assert verdict.startswith("tiny+bestof-4: no sure gain against tiny: av_align excess +0.3")
    assert "no evidence: chosen or guided by av_align.matched" in verdict


def test_without_intervals_there_is_no_verdict_but_why() -> None:
    cells = [scored("tiny", 0.0, 0.1), scored("tiny+mmdisco", 0.0, 0.4)]
    (verdict,) = conclude(table_of([replace(cell, score=replace(cell.score, shuffled=None)) for cell in cells]))
    assert verdict == "tiny+mmdisco: whether guidance helps cannot be said, for no excess has an interval."


def test_nothing_guided_has_no_verdict() -> None:
    assert conclude(table_of([scored("ground_truth", 0.0, 0.4), scored("tiny", 0.0, 0.1)])) == []
    unguided = [scored("ground_truth", 0.0, 0.4), scored("tiny+mmdisco", 0.0, 0.1)]
    assert conclude(table_of(unguided)) == [], "real clips are not what it guides"
