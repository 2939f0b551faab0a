"""What tells runs of one system apart: the options that differ, in words for a row's name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

CODE = ("code", "mmbench")  # keys of a spec that say which code made the samples, and not what was asked of it
LONGEST = 24  # characters of an option's value in a label


def differing(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A label for each of several runs of one system: the one or two short options that differ, else digits of its id.

    Of digests, as of the weights of a discriminator, eight digits are shown. An option that a spec lacks, since it has
    its default, is said to be not set.

    Args:
        specs: Spec of each run, by its id.
    """
    flat = {name: flatten(spec) for name, spec in specs.items()}
    keys = [
        k
        for k in dict.fromkeys(key for spec in flat.values() for key in spec)
        if len({spec.get(k) for spec in flat.values()}) > 1
    ]
    values = {name: {k: _shorten(spec[k]) if k in spec else None for k in keys} for name, spec in flat.items()}
    short = 0 < len(keys) <= 2 and all(len(v or "") <= LONGEST for found in values.values() for v in found.values())
    digits = {name: name.rpartition("-")[2] for name in flat}
    labels = {name: ", ".join(map(_say, found, found.values())) for name, found in values.items()} if short else digits
    return labels if len(set(labels.values())) == len(labels) else digits


def _say(key: str, value: str | None) -> str:
    return f"{_last(key)} not set" if value is None else f"{_last(key)}={value}"


def _last(key: str) -> str:
    """The last part of an option's path, of the weights of something with what they are of."""
    *before, last = key.split(".")
    return f"{before[-1]} {last}" if last == "weights" and before else last


def _shorten(value: str) -> str:
    return value[:8] if re.fullmatch(r"[0-9a-f]{32,64}", value) else value


def name_apart(systems: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[str]:
    """Names of runs in which those of one system have what `differing` says in brackets.

    Args:
        systems: Of each run its system, id and spec.
    """
    by_system: dict[str, dict[str, Mapping[str, Any]]] = {}
    for system, run, spec in systems:
        by_system.setdefault(system, {})[run] = spec
    labels = {system: differing(runs) for system, runs in by_system.items() if len(runs) > 1}
    return [f"{system} ({labels[system][run]})" if system in labels else system for system, run, _ in systems]


def flatten(spec: Any, at: str = "") -> dict[str, str]:
    """Leaves of a spec by their path, as text; digests of code left out."""
    if not isinstance(spec, Mapping):
        return {at: str(spec)}
    out: dict[str, str] = {}
    for key, value in spec.items():
        if key not in CODE:
            out |= flatten(value, f"{at}.{key}" if at else str(key))
    return out
