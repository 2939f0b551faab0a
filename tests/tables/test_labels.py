"""Labels of several runs of one system: the options that differ, in words."""

from __future__ import annotations

from typing import Any

import pytest

from mmbench.mmdisco.sampler_names import SCHEDULER_NAMES
from mmbench.tables.labels import differing, name_apart


def spec(**sampling: Any) -> dict[str, Any]:
    return {"system": {"sampling": sampling}, "code": {"digest": str(sampling)}}


@pytest.mark.parametrize("sampler", SCHEDULER_NAMES)
def test_every_sampler_is_named_in_full(sampler: str) -> None:
    runs = {"a-1": spec(sampler=sampler), "a-2": spec(sampler="other")}
    assert differing(runs) == {"a-1": f"sampler={sampler}", "a-2": "sampler=other"}


def test_more_than_two_options_and_long_values_are_digits_of_the_id() -> None:
    three = {"a-1": spec(x=1, y=1, z=1), "a-2": spec(x=2, y=2, z=2)}
    assert differing(three) == {"a-1": "1", "a-2": "2"}
    assert differing({"a-1": spec(text="w" * 25), "a-2": spec(text="")}) == {"a-1": "1", "a-2": "2"}


def test_options_of_one_name_in_two_places_are_both_said() -> None:
    runs = {
        "a-1": {"video": {"scale": 1}, "audio": {"scale": 2}},
        "a-2": {"video": {"scale": 2}, "audio": {"scale": 1}},
    }
    assert differing(runs) == {"a-1": "scale=1, scale=2", "a-2": "scale=2, scale=1"}


def test_an_option_that_a_run_does_not_have_is_not_given_a_value() -> None:
    runs = {"a-1": spec(steps=25), "a-2": spec(steps=25, path="video_first"), "a-3": spec(steps=25, path="none")}
    assert differing(runs) == {"a-1": "path not set", "a-2": "path=video_first", "a-3": "path=none"}


def test_a_system_of_one_run_keeps_its_name() -> None:
    runs = [("tiny", "a-1", spec(steps=25)), ("tiny", "a-2", spec(steps=50)), ("tiny_flow", "b-1", spec(steps=25))]
    assert name_apart(runs) == ["tiny (steps=25)", "tiny (steps=50)", "tiny_flow"]
