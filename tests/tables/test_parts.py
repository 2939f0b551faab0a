"""Repeated objects are written once, and come back where they were."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmbench.errors import MMBenchError
from mmbench.tables.parts import restore_parts, share_parts

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=40), st.floats(allow_nan=False))
KEYS = st.sampled_from(["dataset", "machine", "world", "system", "a"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
WORLD = {f"material {i}": [i / 10, "glass"] for i in range(10)}


@settings(suppress_health_check=[HealthCheck.too_slow])  # a loaded machine draws slowly
@given(TREES)
def test_what_is_shared_comes_back_with_its_keys_in_order(value: object) -> None:
    values = [value, {"again": value, "world": {"of": value, "text": "x" * 100}}, {"world": value}]
    encoded, parts = share_parts(values)
    assert json.dumps([restore_parts(e, parts) for e in encoded]) == json.dumps(values)


def test_a_repeated_object_is_written_once_and_what_is_in_it_is_no_part_of_its_own() -> None:
    spec = {"dataset": {"name": "bounce", "world": WORLD}, "seed": 1}
    encoded, parts = share_parts([spec, spec | {"seed": 2}])
    assert encoded == [{"dataset": {"$part": "dataset.0"}, "seed": seed} for seed in (1, 2)]
    assert parts == {"dataset.0": spec["dataset"]}


def test_what_is_rare_or_short_stays_where_it_is() -> None:
    values = [{"system": WORLD, "scale": {"video": 2}}, {"system": WORLD | {"more": 1}, "scale": {"video": 2}}]
    assert share_parts(values) == (values, {})


def test_what_looks_like_a_reference_is_refused() -> None:
    with pytest.raises(MMBenchError, match="cannot be packed"):
        share_parts([{"spec": {"$part": "dataset.0"}}])
