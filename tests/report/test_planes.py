"""Plots with two axes: a distance's value at infinite n is where its line ends; costs stand on a logarithm."""

from __future__ import annotations

from typing import Any

import pytest

from mmbench.report.planes import draw_cost, draw_limits
from mmbench.tables.compare import Cell
from tests.builders import record

ORDER = ["ground_truth", "a", "b"]


def cell(system: str, value: float, **changes: Any) -> Cell:
    return Cell(record(system=system, value=value, stderr=1.0, low=value - 2, high=value + 2, **changes))


def falling(system: str, limit: float, slope: float, n: int = 64) -> Cell:
    points = [[n // k, limit + slope / (n // k)] for k in (1, 2, 4)]
    details = {"infinity": limit, "infinity_stderr": 2.0, "infinity_points": points}
    return cell(system, points[0][1], details=details, n_scored=n)


def test_lines_go_through_their_points_to_infinite_n() -> None:
    plane = draw_limits([falling("a", 100, 640), falling("b", 50, 320)], ORDER)
    assert plane is not None
    for line in plane.lines:
        mine = sorted((p.x, p.y) for p in plane.points if p.system == line.system)
        assert mine[0] == (line.x1, line.y1), "the value at infinite n, at the left"
        for x, y in mine:
            along = (x - line.x1) / (line.x2 - line.x1)
            assert y == pytest.approx(line.y1 + along * (line.y2 - line.y1), abs=0.05)
    limits = {p.system: p for p in plane.points if p.x == plane.across[0][0]}
    assert limits[1].y < limits[2].y, "100 stands above 50"
    assert limits[1].low - limits[1].high == pytest.approx((limits[2].y - limits[1].y) * 2 * 1.96 * 2 / 50, abs=0.05)
    assert [text for _, text in plane.across] == ["∞", "n = 64", "n = 32", "n = 16"]
    assert plane.heads == ("infinite n", "n = 64", "n = 32", "n = 16")
    assert plane.rows[0] == (1, ("100.0 ± 2.0", "110.0", "120.0", "140.0"))


def test_older_records_have_the_value_of_all_clips_alone() -> None:
    plane = draw_limits([cell("a", 110.0, details={"infinity": 100.0, "infinity_stderr": 2.0}, n_scored=64)], ORDER)
    assert plane is not None
    assert plane.heads == ("infinite n", "n = 64")
    assert len(plane.points) == 2


@pytest.mark.parametrize("details", [{}, {"infinity": None, "floor": 3.0}])
def test_nothing_is_drawn_without_a_value_at_infinite_n(details: dict[str, Any]) -> None:
    assert draw_limits([cell("a", 110.0, details=details)], ORDER) is None


def test_costs_stand_on_a_logarithm_and_controls_are_lines() -> None:
    cells = [cell("ground_truth", 10.0), cell("a", 20.0), cell("b", 40.0)]
    plane = draw_cost(cells, ORDER, {"ground_truth": 0.1, "a": 1.0, "b": 100.0})
    assert plane is not None
    a, b = plane.points
    ticks = {text: place for place, text in plane.across}
    assert (a.x, b.x) == (pytest.approx(ticks["1 s"], abs=0.1), pytest.approx(ticks["100 s"], abs=0.1))
    assert ticks["10 s"] == pytest.approx((a.x + b.x) / 2, abs=0.1)
    assert a.low > a.y > a.high, "from the top down"
    (line,) = plane.lines
    assert line.system == 0
    assert line.y1 == line.y2 > a.y
    assert plane.rows == ((0, ("", "10.0 ± 1.0")), (1, ("1", "20.0 ± 1.0")), (2, ("100", "40.0 ± 1.0")))


@pytest.mark.parametrize("seconds", [0.003, 1.0, 5.92, 70.0, 4000.0])
def test_one_system_has_an_axis_with_ticks(seconds: float) -> None:
    plane = draw_cost([cell("a", 20.0)], ORDER, {"a": seconds})
    assert plane is not None
    places = [place for place, _ in plane.across]
    assert len(places) >= 2
    assert 64 < plane.points[0].x < 490


def test_what_has_no_seconds_is_not_drawn() -> None:
    assert draw_cost([cell("ground_truth", 10.0), cell("a", 20.0)], ORDER, {"ground_truth": 0.1}) is None
    plane = draw_cost([cell("a", 20.0), cell("b", 40.0)], ORDER, {"b": 2.0})
    assert plane is not None
    assert [p.system for p in plane.points] == [2]
    assert [k for k, _ in plane.rows] == [2]
