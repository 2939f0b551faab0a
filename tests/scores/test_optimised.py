"""A record says whether its metric is the one, or looks through the network, that samples were chosen by."""

from __future__ import annotations

from typing import Any

import pytest

from mmbench.errors import UsageError
from mmbench.registry import make_metric
from mmbench.runs.spec import RunSpec
from mmbench.scores.optimised import optimised_for


def run(metric: str | None) -> RunSpec:
    system: dict[str, Any] = {"name": "a"} | ({"optimised_for": metric} if metric else {})
    return RunSpec("a", "d", 0, "real", {"system": system})


@pytest.mark.parametrize(
    ("declared", "metric", "shares"),
    [
        ("ib_bounce_av.bounce_v1", "ib_bounce_av", True),
        ("ib_bounce_av.bounce_v1", "fvd_bounce", True),
        ("ib_bounce_av.bounce_v1", "ib_bounce_tv", True),
        ("ib_bounce_av.bounce_v1", "av_align", False),
        ("ib_bounce_av.bounce_v1", "ib_av", False),
        ("av_align.mmdisco_96ms", "av_align.matched", True),
        ("av_align.mmdisco_96ms", "ib_bounce_av", False),
        ("ib_av.official", "ib_score", True),
        ("ib_av.official", "javis_score", True),
        ("ib_ta.official", "clip_sim", False),
    ],
)
def test_variants_extractors_and_networks_are_shared(declared: str, metric: str, shares: bool) -> None:
    assert optimised_for(run(declared), make_metric(metric)) == (declared if shares else "")


def test_random_networks_of_two_kinds_are_not_one() -> None:
    assert optimised_for(run("ib_av.official"), make_metric("fvd", weights="random")) == ""


def test_what_nothing_was_chosen_by_is_independent_and_unknown_metrics_are_named() -> None:
    assert optimised_for(run(None), make_metric("av_align")) == ""
    assert optimised_for(RunSpec("a", "d", 0, "real", {}), make_metric("av_align")) == ""
    with pytest.raises(UsageError, match="Unknown metric"):
        optimised_for(run("nobody_knows.x"), make_metric("av_align"))
