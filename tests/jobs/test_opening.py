"""Lengths that metrics need are asked for before any work."""

from __future__ import annotations

import pytest

from mmbench.errors import UsageError
from mmbench.jobs.given_clips import GivenClips
from mmbench.jobs.opening import make_metrics, require_length
from mmbench.jobs.settings import Settings
from mmbench.registry import make_dataset


def test_clips_that_are_too_short_for_a_metric_are_refused_with_the_dataset_to_type() -> None:
    require_length("desync.av_benchmark", 2.0, make_dataset("bounce"), "bounce")
    with pytest.raises(UsageError, match=r"needs clips of 4.8 s; those of bounce\?fps=25 have 2 s") as error:
        require_length("desync.av_benchmark", 4.8, make_dataset("bounce?fps=25"), "bounce?fps=25")
    assert error.value.next == "--dataset 'bounce?fps=25&seconds=8'"
    asked = error.value.next.split("'")[1]
    require_length("desync.av_benchmark", 4.8, make_dataset(asked), asked)


def test_a_metric_by_name_is_refused_only_where_all_clips_are_too_short() -> None:
    asked = Settings(metrics=("desync",), weights="random")
    short, long = GivenClips("mine", 2.0, True), GivenClips("theirs", 8.0, True)
    with pytest.raises(UsageError, match=r"desync.avbench_8s needs clips of 4.8 s; those of mine have 2 s") as error:
        make_metrics(asked, None, [short])
    assert error.value.next == "mmbench show desync"
    assert len(make_metrics(asked, None, [short, long])) == 1
