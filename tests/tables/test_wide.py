"""The default table: short headings, numbers that line up, the best in bold, nothing said twice."""

from __future__ import annotations

from typing import Any

import pytest

from mmbench.console import Format
from mmbench.markup import Strong
from mmbench.scores.records import Record
from mmbench.tables.compare import Cell, adjust
from mmbench.tables.layout import Layout, Row, make_cell, owners_of
from mmbench.tables.narrow import show_table
from mmbench.tables.system_rows import lay_out_comparison
from mmbench.tables.wide import describe_rows, find_best, short_headings, to_rows
from tests.builders import record


def scored(system: str, value: float, metric: str = "fvd.x", **changes: Any) -> Record:
    """A number of a metric of which less is better."""
    about = {"system": system, "run_id": system, "metric": metric, "higher_is_better": False}
    return record(**about, **({"value": value, "stderr": 0.12} | changes))


def laid_out(*columns: list[Record], title: str = "") -> Layout:
    """Their table."""
    return lay_out_comparison(adjust([[Cell(r) for r in column] for column in columns]), title)


def test_the_best_of_the_systems_is_bold_and_real_clips_do_not_compete() -> None:
    systems = {"ground_truth": 1.0, "independent": 1.1, "a": 2.0, "b": 1.5, "c": 3.0}
    _, rows = to_rows(laid_out([scored(s, v) for s, v in systems.items()]))
    assert [row["system"] for row in rows if isinstance(row["fvd ↓"], Strong)] == ["b"]


def test_neither_a_borrowed_number_nor_a_lonely_one_is_best() -> None:
    best = [scored("a", 2.0), scored("cascade", 1.0, video_of="z"), scored("z", 1.0)]
    layout = laid_out(best)
    assert {layout.table[k].labels["system"] for k in find_best(layout.table, "fvd.x ↓")} == {"z"}
    assert find_best(laid_out([scored("a", 2.0)]).table, "fvd.x ↓") == set()


def test_a_number_that_a_system_was_optimised_for_is_never_the_best() -> None:
    found = [scored("a", 2.0), scored("b", 1.5), scored("a+bestof-4", 1.0, optimised_for="fvd.x")]
    _columns, rows = to_rows(laid_out(found))
    assert [row["system"] for row in rows if isinstance(row["fvd ↓"], Strong)] == ["b"]
    assert rows[2]["fvd ↓"].endswith("‡")


def test_datasets_of_a_table_have_each_their_best() -> None:
    rows = [
        Row({"dataset": d, "system": s}, [make_cell([scored(s, v)])])
        for d, s, v in (("x", "a", 1.0), ("x", "b", 2.0), ("y", "a", 4.0), ("y", "b", 3.0), ("z", "a", 0.5))
    ]
    assert find_best(rows, "fvd.x ↓") == {0, 3}


def test_variants_go_to_the_legend_unless_a_table_has_two() -> None:
    one = laid_out([scored("a", 1.0)], [scored("a", 1.0, "fad.y")])
    assert list(short_headings(one).values()) == ["fvd ↓", "fad ↓"]
    assert describe_rows(one) == ["dataset d; n = 8; x: fvd; y: fad."]
    two = laid_out([scored("a", 1.0)], [scored("a", 1.0, "fvd.y")])
    assert list(short_headings(two).values()) == ["fvd.x ↓", "fvd.y ↓"]
    assert describe_rows(two) == ["dataset d; n = 8."]


def test_what_the_title_says_or_rows_differ_in_is_not_in_the_legend() -> None:
    assert describe_rows(laid_out([scored("a", 1.0, "m")], title="d, n = 8, seed 0")) == []
    assert describe_rows(laid_out([scored("a", 1.0, "m")], title="dd, n = 80")) == ["dataset d; n = 8."]
    few = laid_out([scored("a", 1.0, "m"), scored("b", 1.0, "m", n_scored=6, n_unscored=2)])
    assert describe_rows(laid_out([scored("a", 1.0, "m", dataset="none")])) == ["n = 8."]
    columns, rows = to_rows(few)
    assert columns == ["system", "n", "m ↓"]
    assert [row["n"] for row in rows] == ["8", "6/8 (2 unscored)"]


def test_numbers_line_up_whatever_mark_or_parenthesis_they_have() -> None:
    about = {"details": {"floor": 1.0}, "reference": {"dataset": "d", "n": 8}}
    column = [scored("ground_truth", 12.0, **about), scored("independent", 12.0, **about)]
    column.append(scored("a", 7.0, stderr=0.08, **about))
    _, rows = to_rows(laid_out(column))
    assert [row["fvd ↓"] for row in rows] == [" 12.00 ± 0.12 ", "(12.00 ± 0.12)", "  7.00 ± 0.08~"]


@pytest.mark.parametrize("format", [Format.table, Format.markdown, Format.latex, Format.html])
def test_every_format_has_the_same_numbers(format: Format, capsys: pytest.CaptureFixture[str]) -> None:
    layout = laid_out([scored("ground_truth", 1.0), scored("a_b", 2.25), scored("c", 1.5)])
    show_table(layout, format)
    printed = capsys.readouterr()
    lines = [line for line in printed.out.splitlines() if "0.12" in line]
    assert ["1.00" in lines[0], "2.25" in lines[1], "1.50" in lines[2]] == [True] * 3
    bold = {
        Format.markdown: "**1.50 ± 0.12**",
        Format.latex: r"\textbf{1.50 $\pm$ 0.12}",
        Format.html: "<b>1.50 ± 0.12</b>",
    }
    assert bold.get(format, "1.50 ± 0.12") in lines[2]
    name = {Format.markdown: r"a\_b", Format.latex: r"a\_b"}.get(format, "a_b")
    assert name in lines[1]
    assert ("dataset d" in printed.out) == (format is Format.table)
    assert ("dataset d" in printed.err) == (format is not Format.table)


def test_all_systems_whose_halves_another_one_shows_are_named() -> None:
    videos = [scored("a", 2.0), scored("b", 3.0), scored("c", 3.0)]
    sounds = [scored(s, v, "fad.y") for s, v in (("a", 5.0), ("b", 6.0), ("c", 5.0))]
    assert owners_of(laid_out(videos, sounds).table) == {"c": "b and a"}
