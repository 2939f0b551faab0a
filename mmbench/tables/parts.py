"""Parts that JSON values have in common, each written once and referred to by name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmbench.errors import MMBenchError

REFERENCE = "$part"  # {"$part": "dataset.0"} stands for the part of that name
SHORTEST = 100  # characters of JSON from which a repeated object becomes a part
ALWAYS = ("dataset", "machine", "packages")  # objects under these keys are parts even if they occur once


def share_parts(values: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """JSON values in which references stand for the objects that they repeat.

    Args:
        values: JSON values; they are not changed.

    Returns:
        The values with references, and the parts by name; a part may itself refer to others. `restore_parts` of both
        gives the values back, with their keys in the same order.

    Raises:
        MMBenchError: A value holds what would be taken for a reference.
    """
    seen = _count_objects(values)
    names: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    parts: dict[str, Any] = {}

    def encode(value: Any, key: str = "") -> Any:
        if isinstance(value, list):
            return [encode(item, key) for item in value]
        if not isinstance(value, dict):
            return value
        if REFERENCE in value:
            raise MMBenchError(f"{value} cannot be packed.", f"values without a key {REFERENCE!r}", "rename that key")
        text = json.dumps(value)
        if key not in ALWAYS and (not key or seen[text] < 2 or len(text) < SHORTEST):
            return {k: encode(v, k) for k, v in value.items()}
        if text not in names:
            names[text] = name = f"{key}.{numbers[key]}"
            numbers[key] += 1
            parts[name] = {k: encode(v, k) for k, v in value.items()}
        return {REFERENCE: names[text]}

    return [encode(value) for value in values], parts


def restore_parts(value: Any, parts: Mapping[str, Any]) -> Any:
    """A value with its parts in the place of the references.

    Raises:
        KeyError: A reference names no part.
    """
    if isinstance(value, list):
        return [restore_parts(item, parts) for item in value]
    if not isinstance(value, dict):
        return value
    if REFERENCE in value:
        return restore_parts(parts[value[REFERENCE]], parts)
    return {k: restore_parts(v, parts) for k, v in value.items()}


def _count_objects(values: Sequence[Any]) -> Counter[str]:
    """How often each object occurs, by its JSON; what is inside a repeated object counts once."""
    seen: Counter[str] = Counter()
    todo = list(values)
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            text = json.dumps(value)
            seen[text] += 1
            todo += value.values() if seen[text] == 1 else ()
        elif isinstance(value, list):
            todo += value
    return seen
