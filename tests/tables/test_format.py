"""Numbers as text: no zero has a sign of its own or more decimals than its error."""

from __future__ import annotations

import pytest

from mmbench.tables.format import column_digits, interval_text, signed, with_error


@pytest.mark.parametrize(("value", "error"), [(-1e-9, 1e-9), (-0.0, 0.0), (0.0, 1e-12)])
def test_zero_has_no_sign_and_three_decimals(value: float, error: float) -> None:
    assert with_error(value, error) == "0.000 ± 0.000"
    assert signed(value, error) == "0.000 ± 0.000"
    assert interval_text(value, value, error, sign=True) == "[0.000, 0.000]"


def test_a_column_has_equal_decimals_with_a_digit_for_its_smallest_error() -> None:
    assert [column_digits(errors) for errors in ([0.012, 0.0082], [0.18, 0.092], [12.0, 3.4, None], [0.0, None])] == [
        *(3, 2, 0, 3)
    ]
    assert with_error(0.34051, 0.012, 3) == "0.341 ± 0.012"


def test_errors_that_can_be_seen_keep_two_digits() -> None:
    assert with_error(-0.1234567, 1.2e-5) == "-0.123457 ± 0.000012"
    assert signed(-0.004, 0.021) == "-0.004 ± 0.021"
