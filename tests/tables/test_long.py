"""Tables for programs: numbers as numbers, null for what there is not, nothing lost between JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.console import Format
from mmbench.scores.records import read_scored, save
from mmbench.tables.compare import Cell, table_of
from mmbench.tables.layout import Layout, Row, make_cell
from mmbench.tables.long import to_rows
from mmbench.tables.narrow import show_comparison, show_table
from mmbench.tables.numbers import FLAT
from mmbench.tables.system_rows import lay_out_comparison
from mmbench.types import Score
from tests.builders import folder_of, record
from tests.commands import mmbench_here
from tests.conftest import REPOSITORY


@pytest.fixture
def columns(tmp_path: Path) -> list[list[Cell]]:
    """Two systems on one metric, the second without a value for one sample."""
    cells = []
    for k, system in enumerate(("a", "b")):
        values = np.random.default_rng(k).normal(0.5 + k, 0.1, 8)
        values[:k] = math.nan
        counts = {"n_scored": 8 - k, "n_unscored": k}
        value = float(np.nanmean(values))
        made = record(system=system, run_id=system, value=value, baseline=0.1, baseline_stderr=0.01, **counts)
        folder = folder_of(tmp_path, system)
        save(folder, made, Score(value, 0.1, 8 - k, k, per_sample=values), [{"id": str(i)} for i in range(8)])
        cells.append(read_scored(folder, made))
    return table_of(cells)


def printed_rows(capsys: pytest.CaptureFixture[str], layout: Layout) -> list[dict[str, str]]:
    """The lines of the CSV."""
    show_table(layout, Format.csv)
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def numbers_in(value: Any) -> list[str]:
    """Texts of a JSON value that look like a number."""
    if isinstance(value, dict):
        return [text for part in value.values() for text in numbers_in(part)]
    if isinstance(value, list):
        return [text for part in value for text in numbers_in(part)]
    return [value] if isinstance(value, str) and ("±" in value or value.strip()[:1].isdigit()) else []


def test_csv_has_a_line_for_each_number_with_all_that_json_has(
    columns: list[list[Cell]], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = printed_rows(capsys, lay_out_comparison(columns))
    assert tuple(a) == ("system", "dataset", "metric", *FLAT)
    show_comparison(columns, Format.json, "")
    first, second = json.loads(capsys.readouterr().out)
    assert (a["difference"], a["wins"], a["needs"]) == ("", "", "")
    assert first["difference"] is None
    difference = second["difference"]
    parts = {name: float(b[f"difference_{name}"]) for name in ("stderr", "low", "high", "p", "p_holm")}
    assert {"value": float(b["difference"]), **parts} == {k: difference[k] for k in ("value", *parts)}
    assert (b["difference_against"], b["difference_n"]) == ("a", "7")
    for name in ("value", "stderr", "low", "high", "n", "n_expected", "shuffled"):
        assert float(b[name]) == second[name]
    assert b["signature"] == second["record"]["signature"]
    assert float(b["wins"]) == second["wins"]["share"] == second["won"] == 1.0


def test_json_holds_no_number_as_text(columns: list[list[Cell]], capsys: pytest.CaptureFixture[str]) -> None:
    show_comparison(columns, Format.json, "")
    rows = json.loads(capsys.readouterr().out)
    keys = {"system", "metric", "value", "shuffled", "n", "Δ [95 %]", "won", "record", "difference", "wins", "needs"}
    assert all(keys <= set(row) for row in rows)
    assert rows[1]["Δ [95 %]"] == rows[1]["difference"]["value"]
    for row in rows:
        row["record"] = {k: v for k, v in row["record"].items() if k not in ("digest", "time")}
    assert numbers_in(rows) == []
    show_table(lay_out_comparison(columns), Format.json)
    first, second = json.loads(capsys.readouterr().out)
    assert (first["n"], second["n"]) == (8, 7)
    assert second["m.v ↑"] == second["numbers"]["m.v"]["value"]
    assert second["numbers"]["m.v"]["difference"]["against"] == "a"
    assert numbers_in([first, second]) == []


def test_what_is_undefined_is_null_and_empty(capsys: pytest.CaptureFixture[str]) -> None:
    layout = lay_out_comparison([[Cell(record(value=math.nan, stderr=None, low=None, high=math.inf))]])
    (line,) = printed_rows(capsys, layout)
    assert [line[name] for name in ("value", "stderr", "low", "high")] == [""] * 4
    show_table(layout, Format.json)
    (row,) = json.loads(capsys.readouterr().out)
    assert [row["numbers"]["m.v"][name] for name in ("value", "stderr", "low", "high")] == [None] * 4


def test_published_numbers_stand_beside_ours_and_alone(capsys: pytest.CaptureFixture[str]) -> None:
    mine = Row({"system": "a"}, [make_cell([record(metric="fvd.x")])], {"fvd": 447, "fad": 5.78})
    lines = printed_rows(capsys, Layout([mine, Row({"system": "b"}, [], {"fvd": 405})]))
    assert [(line["system"], line["metric"], line["value"], line["paper"]) for line in lines] == [
        ("a", "fvd.x", "0.5", "447"),
        ("b", "fvd", "", "405"),
    ]


def test_the_long_text_has_interval_difference_and_p(columns: list[list[Cell]]) -> None:
    shown, rows = to_rows(lay_out_comparison(columns))
    assert shown == ["system", "metric", "value", "95 %", "shuffled", "n", "Δ [95 %]", "to", "p", "won"]
    assert rows[0]["95 %"] == "[0.30, 0.70]"
    assert rows[1]["value"].endswith("*")
    assert rows[1]["Δ [95 %]"].startswith("+0.979 ± 0.044 [")
    assert (rows[1]["to"], rows[1]["p"], rows[1]["won"]) == ("a", "<0.001", "100% [65%, 100%]")
    assert rows[1]["n"] == "7/8 (1 unscored)"


@pytest.mark.parametrize(
    ("file", "options", "lines"), [("runs", ("-d", "bounce"), 48), ("table7", ("--paper", "7"), 30)]
)
def test_tables_on_record_are_csv_on_stdout_and_words_on_stderr(
    file: str, options: tuple[str, ...], lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ("table", "--out", REPOSITORY / "results" / "tiny" / f"{file}.jsonl", *options, "--format")
    printed = mmbench_here(capsys, *ask, "csv")
    found = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert len(found) == lines
    assert "Distances fall with n" in printed.stderr
    rows = json.loads(mmbench_here(capsys, *ask, "json").stdout)
    expected = {(row.get("system") or row["row"], m): n["value"] for row in rows for m, n in row["numbers"].items()}
    assert {(line.get("system") or line["row"], line["metric"]): float(line["value"]) for line in found} == expected


def test_the_long_text_says_below_nothing_that_it_has_as_columns(
    columns: list[list[Cell]], capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [[replace(cell, record=replace(cell.record, baseline=0.1)) for cell in column] for column in columns]
    layout = lay_out_comparison(cells)
    show_table(layout, Format.table)
    assert "By chance" in capsys.readouterr().out
    show_table(layout, Format.table, in_full=True)
    printed = capsys.readouterr().out
    assert "shuffled" in printed
    assert "By chance" not in printed
