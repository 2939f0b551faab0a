"""One row of `mmbench verify`: a claim, what was measured, and whether the claim held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]  # check, metric, weights, status, measured, required
COLUMNS = ("check", "metric", "weights", "status", "measured", "required")


class NotApplicable(Exception):
    """A check that has nothing to judge here; the message says why."""


def judge(check: str, metric: str, required: str, look: Callable[[], tuple[bool, str]], weights: str = "none") -> Row:
    """Run one check.

    Args:
        check: What is claimed.
        metric: What it is claimed of.
        required: What `look` must find.
        look: Gives whether the claim held, and what was measured.
        weights: Of the networks that took part.

    Returns:
        A row with status "pass", "fail", or "skipped" if `look` raises NotApplicable; a crash fails the check.
    """
    try:
        held, measured = look()
        status = "pass" if held else "fail"
    except NotApplicable as reason:
        status, measured = "skipped", str(reason)
    except Exception as error:  # whatever a plugin raises is what the user must see
        status, measured = "fail", f"{type(error).__name__}: {error}"
    return dict(zip(COLUMNS, (check, metric, weights, status, measured, required), strict=True))


def within(value: float, limit: float, what: str) -> tuple[bool, str]:
    """Whether |value| <= limit, and the text that says by how much."""
    return abs(value) <= limit, f"{what} {abs(value):.2g}"
