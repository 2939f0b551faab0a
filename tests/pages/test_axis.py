"""Axes of drawings."""

from __future__ import annotations

import pytest

from mmbench.pages.axis import axis_of


@pytest.mark.parametrize("values", [[0.0, 1.0], [1e-7, 3e-7], [5.0, 5.0], [-1234.0, 99.0], [0.0, 0.0]])
def test_ticks_are_round_and_in_order(values: list[float]) -> None:
    ticks = axis_of(values).ticks
    assert 2 <= len(ticks) <= 12
    assert [place for place, _ in ticks] == sorted(place for place, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)
