"""A table in the layout of a suite: the paper's order, names and factors; numbers for programs stay the metrics'."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from mmbench.console import Format
from mmbench.scores.records import Record
from mmbench.tables.compare import Cell, adjust
from mmbench.tables.layout import Layout
from mmbench.tables.narrow import show_comparison, show_table
from mmbench.tables.suite_table import SuiteTable
from mmbench.tables.suites import Suite, SuiteColumn
from mmbench.tables.system_rows import lay_out_comparison
from mmbench.tables.wide import to_rows
from tests.builders import record

SUITE = Suite(
    "tried",
    "Table 9",
    "arXiv 0",
    (
        SuiteColumn("late.v", "DeSync", "↓", unit="s"),
        SuiteColumn("agree.v", "IB", "↑", factor=100),
        SuiteColumn("absent.v", "FD", "↓", differs="another network"),
        SuiteColumn("far.v", "FAD", "↓", factor=10_000),
    ),
)
HEADERS = ["DeSync [s] ↓", "IB ×100 ↑", "FD ↓", "FAD ×10⁴ ↓"]


def scored(system: str, metric: str, value: float, stderr: float) -> Record:
    """A number of a system."""
    higher = metric.startswith("agree")
    about: dict[str, Any] = {"system": system, "run_id": f"{system}-d", "metric": metric, "higher_is_better": higher}
    return record(**about, value=value, stderr=stderr, low=value - stderr, high=value + stderr)


COLUMNS = [  # in another order than the suite's; the first system lacks the suite's first metric
    [scored("a", "extra.v", 5.0, 0.5), scored("b", "extra.v", 6.0, 0.5)],
    [scored("a", "far.v", 0.00031, 0.00002), scored("b", "far.v", 0.00025, 0.00002)],
    [scored("a", "agree.v", 0.2913, 0.0031), scored("b", "agree.v", 0.3322, 0.0042)],
    [scored("b", "late.v", 0.442, 0.012)],
]
CELLS = adjust([[Cell(r) for r in column] for column in COLUMNS])


def laid_out(*places: Path, skipped: tuple[str, ...] = ()) -> Layout:
    """The table of them."""
    return SuiteTable(SUITE, places, skipped).lay_out(lay_out_comparison(CELLS))


def test_columns_have_the_papers_order_names_and_factors() -> None:
    columns, rows = to_rows(laid_out())
    assert columns == ["system", *HEADERS, "extra ↑" if COLUMNS[0][0].higher_is_better else "extra ↓"]
    a, b = ({k: str(v).strip() for k, v in row.items()} for row in rows)
    assert [a[h] for h in HEADERS] == ["-", "29.13 ± 0.31", "-", "3.10 ± 0.20"]
    assert [b[h] for h in HEADERS] == ["0.442 ± 0.012", "33.22 ± 0.42", "-", "2.50 ± 0.20"]
    assert a["extra ↓"] == "5.00 ± 0.50"


def test_json_and_csv_have_the_metrics_own_numbers_and_the_suites_name(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(laid_out(), Format.json)
    for row in json.loads(capsys.readouterr().out):
        assert row["suite"] == "tried"
        value = {"a": 0.2913, "b": 0.3322}[row["system"]]
        assert row["agree.v ↑"] == row["numbers"]["agree.v"]["value"] == value
    show_comparison(CELLS, Format.json, "", suite=SuiteTable(SUITE))
    compared = json.loads(capsys.readouterr().out)
    assert {row["suite"] for row in compared} == {"tried"}
    assert 0.00031 in [row["record"]["value"] for row in compared]
    show_table(laid_out(), Format.csv)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["suite"] for row in rows} == {"tried"}
    numbers = {(row["system"], row["metric"]): float(row["value"]) for row in rows}
    assert numbers["b", "agree.v"] == 0.3322
    assert list(dict.fromkeys(metric for _, metric in numbers)) == ["late.v", "agree.v", "far.v", "extra.v"]


def test_the_long_table_has_the_metrics_own_numbers_and_says_which_are_multiplied(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_table(laid_out(), Format.table, in_full=True)
    printed = capsys.readouterr().out
    assert "0.3322 ± 0.0042" in printed
    assert "33.22" not in printed
    assert "Suite tried" in printed
    assert "IB is 100 times agree.v; FAD is 10000 times far.v" in printed


def test_what_is_missing_is_named_with_the_command_that_scores_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for place, run in ((one, "a-d"), (one, "b-d"), (two, "b-d")):
        (place / run).mkdir(parents=True)
    notes = laid_out(one).notes
    command = f"mmbench evaluate a-d b-d --suite tried --out {one}"
    assert f"- not on record: DeSync, FD. try: {command}" in notes
    assert "Not as in the paper: FD (another network)." in notes
    assert "tried: Table 9 (arXiv 0)." in notes
    command = f"mmbench evaluate {one}/a-d {two}/b-d --suite tried"
    assert f"- not on record: DeSync, FD. try: {command}" in laid_out(one, two).notes
    packed = tmp_path / "all.jsonl"
    packed.touch()
    assert "- not on record: DeSync, FD. A packed file has no clips to score." in laid_out(packed).notes


def test_what_was_skipped_is_said_and_not_called_missing(tmp_path: Path) -> None:
    notes = laid_out(tmp_path, skipped=("absent", "late.v")).notes
    assert "Left out by --skip: FD." in notes
    assert not [note for note in notes if "not on record" in note]


def test_a_table_without_a_suite_is_as_before() -> None:
    columns, rows = to_rows(lay_out_comparison(CELLS))
    assert columns == ["system", "extra ↓", "far ↓", "agree ↑", "late ↓"]
    assert rows[0].get("late ↓") is None
