"""`mmbench table` compares: with real clips and with the pair that is guided, of scores or of a packed file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mmbench.experiments.pack import pack
from mmbench.tables.on_record import compare_on_record
from mmbench.tables.runs import places_of
from mmbench.tables.table import gather, pivot
from tests.experiments.test_pack import METRICS, add

SYSTEMS = {"ground_truth": 3.0, "tiny": 0.0, "tiny+mmdisco": 0.5, "zeta": 3.0}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Four runs with their scores."""
    for k, (system, shift) in enumerate(SYSTEMS.items()):
        add(tmp_path / "runs", system, shift, k)
    return tmp_path / "runs"


def marks(out: Path) -> dict[str, list[str]]:
    """The marks of each system in the table of a folder or file."""
    rows = pivot(gather(out), places_of(out)).table
    return {str(row.labels["system"]): [cell.mark for cell in row.cells] for row in rows}


def test_the_table_marks_differences_to_real_clips_and_to_the_pair(runs: Path) -> None:
    layout = pivot(gather(runs), places_of(runs))
    assert {str(row.labels["system"]): row.cells[0].mark for row in layout.table} == {
        "ground_truth": "",
        "tiny": "†",
        "tiny+mmdisco": "*",
        "zeta": "",
    }
    assert layout.notes[0].startswith("* better, † worse than ground_truth (tiny+mmdisco: than tiny)")


def test_a_packed_file_gives_the_table_of_its_folder(runs: Path, tmp_path: Path) -> None:
    pack([runs], tmp_path / "x.jsonl")
    assert marks(tmp_path / "x.jsonl") == marks(runs)


def test_without_real_clips_only_pairs_are_compared(runs: Path) -> None:
    records = [[r for r in gather(runs, systems=["tiny", "tiny+mmdisco", "zeta"]) if r.metric == METRICS[0]]]
    (column,) = compare_on_record(records, places_of(runs))
    assert {cell.record.system: cell.against for cell in column} == {"tiny": "", "tiny+mmdisco": "tiny", "zeta": ""}


def test_damaged_scores_leave_the_number_and_are_named(runs: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder,) = runs.glob("tiny-*")
    for file in (folder / "scores").glob(f"{METRICS[0]}*.jsonl"):
        file.write_text("{}\n")
    with caplog.at_level(logging.WARNING):
        found = marks(runs)
    assert found["tiny"][0] == ""
    assert found["tiny+mmdisco"][0] == "", "its pair has no values to compare with"
    assert "corrupt" in caplog.text
    assert "mmbench evaluate" in caplog.text
