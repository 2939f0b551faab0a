"""Numbers as text: no zero has a sign of its own or more decimals than its error."""

from __future__ import annotations

import pytest

from mmbench.tables.format import signed, with_error


@pytest.mark.parametrize(("value", "error"), [(-1e-9, 1e-9), (-0.0, 0.0), (0.0, 1e-12)])
def test_zero_has_no_sign_and_three_decimals(value: float, error: float) -> None:
    assert with_error(value, error) == "0.000 ± 0.000"
    assert signed(value, error) == "+0.000 ± 0.000"


def test_errors_that_can_be_seen_keep_two_digits() -> None:
    assert with_error(-0.1234567, 1.2e-5) == "-0.123457 ± 0.000012"
    assert signed(-0.004, 0.021) == "-0.004 ± 0.021"
