"""The numbers that the paper prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "data" / "paper.json"


@cache
def published() -> Mapping[str, Any]:
    """The printed tables by number: title, columns and rows, as arXiv 2405.17842 has them."""
    tables: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["tables"]
    return tables


def published_values(number: str, key: Sequence[Any]) -> dict[str, float]:
    """The printed numbers of the row whose first cells are `key`, by column; none if there is no such row."""
    table = published().get(number, {"columns": (), "rows": ()})
    row = next((row for row in table["rows"] if key and row[: len(key)] == list(key)), None)
    if row is None:
        return {}
    cells = zip(table["columns"][len(key) :], row[len(key) :], strict=True)
    return {name: value for name, value in cells if isinstance(value, int | float)}


def printed_name(metric: str) -> str:
    """The column of the paper that a metric, or its miniature, belongs to: ib_bounce_av is ib_av."""
    return metric.partition(".")[0].replace("_bounce", "")
