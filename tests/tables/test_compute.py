"""Seconds per sample beside the scores, from what the processes of each run took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmbench.experiments.paper import lay_out
from mmbench.files import append_line
from mmbench.runs.store import RESOURCES
from mmbench.tables.compute import NOTE, add_compute, read_resources, seconds_per_sample
from tests.commands import mmbench_here
from tests.tables.test_newest import add


def test_processes_of_a_run_add_up_and_what_was_not_measured_is_empty() -> None:
    lines: list[dict[str, Any]] = [{"samples": 3, "seconds": 6.0, "cpu_seconds": 3.0}, {"samples": 1, "seconds": 2.0}]
    assert seconds_per_sample(lines, "seconds") == 2.0
    assert seconds_per_sample(lines, "cpu_seconds") is None
    assert seconds_per_sample([], "seconds") is None


def test_the_table_shows_them_of_folders_and_of_packed_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, packed = tmp_path / "runs", tmp_path / "packed.jsonl"
    first, _ = add(out, "a"), add(out, "b")
    append_line(out / first / RESOURCES, {"samples": 8, "seconds": 4.0, "cpu_seconds": 2.0})
    assert mmbench_here(capsys, "pack", out, "--out", packed).returncode == 0
    for place in (out, packed):
        shown = mmbench_here(capsys, "table", "--out", place, "--compute", "--format", "json")
        rows = {row["system"]: row for row in json.loads(shown.stdout)}
        assert (rows["a"]["s / sample"], rows["a"]["CPU s / sample"]) == (0.5, 0.25)
        assert "s / sample" not in rows["b"]
        assert read_resources(place if place == packed else out / first, first)[0]["samples"] == 8
    plain = mmbench_here(capsys, "table", "--out", out).stdout
    assert "s / sample" not in plain
    assert "s / sample" in mmbench_here(capsys, "table", "--out", out, "--compute").stdout


def test_a_row_of_a_system_that_was_not_run_has_no_seconds(tmp_path: Path) -> None:
    layout = add_compute(lay_out("2", tmp_path), {})
    assert len(layout.table) == 4
    assert all(not row.cells and "s / sample" not in row.labels for row in layout.table)
    assert NOTE in layout.notes


def test_tables_without_a_row_for_each_run_refuse_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path, "a")
    refused = mmbench_here(capsys, "table", "--out", tmp_path, "--compute", "--by", "prompt")
    assert refused.returncode == 2
    assert f"mmbench table --out {tmp_path} --compute" in refused.stderr
