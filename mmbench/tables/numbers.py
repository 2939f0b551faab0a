"""What a score table holds for programs: numbers without rounding, none of them as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mmbench.scores.records import Record, finite
from mmbench.tables.compare import Cell, heading

FLAT: tuple[str, ...] = (
    "value",
    "stderr",
    "low",
    "high",
    "n",
    "n_expected",
    "shuffled",
    "shuffled_stderr",
)  # columns of a CSV
FLAT += tuple(f"difference{end}" for end in ("", "_stderr", "_low", "_high", "_p", "_p_holm", "_n", "_against"))
FLAT += ("wins", "wins_low", "wins_high", "wins_n", "needs", "same_as", "higher_is_better", "signature", "run")
FLAT += ("optimised_for",)


def numbers_of_record(r: Record) -> dict[str, Any]:
    """A record's numbers, and what they must not travel without."""
    return {
        "value": finite(r.value),
        "stderr": finite(r.stderr),
        "low": finite(r.low),
        "high": finite(r.high),
        "n": r.n_scored,
        "n_expected": r.n_expected,
        "shuffled": finite(r.baseline),
        "shuffled_stderr": finite(r.baseline_stderr),
        "higher_is_better": r.higher_is_better,
        "signature": r.signature,
        "run": r.run_id,
        **({"optimised_for": r.optimised_for} if r.optimised_for else {}),
    }


def numbers_of_difference(cell: Cell) -> dict[str, Any] | None:
    """A paired difference with its interval, p-values, n and whom it is to; None without one."""
    d = cell.difference
    if d is None:
        return None
    return {
        "value": finite(d.value),
        "stderr": finite(d.stderr),
        "low": finite(d.low),
        "high": finite(d.high),
        "p": finite(d.p_value),
        "p_holm": finite(cell.p_adjusted),
        "n": d.n,
        "against": cell.against,
    }


def numbers_of_cell(cell: Cell) -> dict[str, Any]:
    """A record's numbers with the difference, the share of samples won, the n needed and whose number it is."""
    return {
        **numbers_of_record(cell.record),
        "difference": numbers_of_difference(cell),
        "wins": None if cell.wins is None else asdict(cell.wins),
        "needs": cell.needs,
        "same_as": cell.same_as or None,
    }


def as_row(cell: Cell) -> dict[str, Any]:
    """A cell as a row of JSON: its numbers, and the whole record with its difference."""
    r, d, wins = cell.record, cell.difference, cell.wins
    return {
        "system": r.system,
        "metric": heading(r),
        "group": cell.group or None,
        **numbers_of_record(r),
        "Δ [95 %]": None if d is None else finite(d.value),
        "won": None if wins is None else wins.share,
        "record": asdict(r),
        "difference": numbers_of_difference(cell),
        "wins": None if wins is None else asdict(wins),
        "needs": cell.needs,
        "same_as": cell.same_as or None,
    }


def flatten_numbers(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested numbers as columns: difference and difference_stderr, wins and wins_low; lists are left out."""
    flat: dict[str, Any] = {}
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            flat |= {name if key in ("value", "share") else f"{name}_{key}": part for key, part in value.items()}
        elif not isinstance(value, list):
            flat[name] = value
    return flat
