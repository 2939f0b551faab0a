"""What suites hold: metrics that are there, in the order of the papers, each in the direction that is good."""

from __future__ import annotations

import pytest

from mmbench.errors import UsageError
from mmbench.optional_protocols import HasVariants
from mmbench.registry import discover, full_metric_name
from mmbench.tables.known_suites import ALL, SUITES, suite_named
from mmbench.tables.published import printed_name, published
from mmbench.tables.suites import factor_text


@pytest.mark.parametrize("name", SUITES)
def test_every_metric_of_a_suite_is_registered_in_that_variant(name: str) -> None:
    registered = discover("metric")[0]
    lacking = []
    for metric in SUITES[name].metrics:
        base, _, variant = metric.partition(".")
        factory = registered[base].factory if base in registered else None
        if not isinstance(factory, HasVariants) or variant not in factory.variants:
            lacking.append(metric)
    assert not lacking, f"{name} has metrics that are not registered: {', '.join(lacking)}"


@pytest.mark.parametrize("name", [*SUITES, ALL])
def test_arrows_point_where_the_metrics_do(name: str) -> None:
    registered = discover("metric")[0]
    arrows = {
        c.metric: (c.arrow, registered[base].factory)
        for c in suite_named(name).columns
        if (base := c.metric.partition(".")[0]) in registered
    }
    assert arrows
    for metric, (arrow, factory) in arrows.items():
        assert arrow == ("↑" if factory.higher_is_better else "↓"), metric  # type: ignore[attr-defined]


def test_the_papers_suite_has_the_columns_of_its_tables() -> None:
    columns = [*published()["3"]["columns"][1:], "av_align"]
    assert [printed_name(metric) for metric in SUITES["paper"].metrics] == columns
    assert set(published()["13"]["columns"][1:]) < set(columns)
    assert columns[:-1] == published()["4"]["columns"][1:]


def test_all_is_every_default_variant_once_but_the_miniatures() -> None:
    metrics = suite_named("all").metrics
    assert len(set(metrics)) == len(metrics)
    assert {metric.partition(".")[0] for metric in metrics} == {
        name for name in discover("metric")[0] if "_bounce" not in name
    }
    assert "desync.avbench_8s" in metrics
    assert "desync.signed" not in metrics


def test_a_metric_without_a_variant_is_the_default_one() -> None:
    assert full_metric_name("fvd") == "fvd.stylegan_v_16f"
    assert full_metric_name("av_align.matched") == "av_align.matched"


@pytest.mark.parametrize(("typed", "near"), [("javis", "javisbench"), ("v2", "v2a"), ("qqq", "one of paper")])
def test_an_unknown_suite_names_the_near_ones(typed: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"Unknown suite '{typed}'") as error:
        suite_named(typed)
    assert near in error.value.expected


@pytest.mark.parametrize(("factor", "text"), [(1, ""), (100, " ×100"), (1000, " ×1000"), (10_000, " ×10⁴")])
def test_factors_read_as_in_papers(factor: int, text: str) -> None:
    assert factor_text(factor) == text
