"""Records are found by what is asked for, and where there are none it is said what there is."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.console import Format
from mmbench.errors import IntegrityError, MMBenchError
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import save
from mmbench.tables import runs
from mmbench.tables.runs import damage_of, find_records
from mmbench.types import Score
from tests.builders import record
from tests.commands import mmbench_here


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with a run on each of two datasets."""
    for system, dataset in (("a", "bounce"), ("b", "landscape")):
        run = RunSpec(system, dataset, 0, "none", {})
        folder = create_run_folder(tmp_path, run)
        save(folder, record(system=system, dataset=dataset, run_id=run.run_id), Score(0.5, 0.1, 8), [None] * 8)
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "found", "there"),
    [
        ({"dataset": "bonce"}, "dataset bonce", "dataset bounce, landscape"),
        ({"systems": ("tinny",)}, "system tinny", "system a, b"),
        ({"metrics": ("fvd", "fad"), "seed": 0}, "metric fvd, fad; seed 0", "metric m"),
        ({"num_samples": 5, "seed": 7}, "n 5; seed 7", "n 8; seed 0"),
    ],
)
def test_where_nothing_fits_it_is_said_what_is_there(out: Path, asked: dict[str, Any], found: str, there: str) -> None:
    with pytest.raises(MMBenchError) as caught:
        find_records(out, **asked)
    assert caught.value.found == f"No record in {out} fits ({found})."
    assert caught.value.expected == f"what is there: {there}"
    assert find_records(out, none_is_fine=True, **asked) == []


def test_what_each_record_has_but_none_has_at_once_is_no_hint(out: Path) -> None:
    with pytest.raises(MMBenchError) as caught:
        find_records(out, dataset="bounce", systems=("b",))
    assert "runs that were evaluated" in caught.value.expected
    with pytest.raises(MMBenchError, match=r"No record in .* fits\."):
        find_records(out / "nowhere")


@pytest.mark.parametrize("how", ["", "--long", "--by prompt", "--paper 2", "--paper all"])
def test_a_damaged_run_stands_in_what_every_table_prints(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = [{"id": str(i), "text": f"p{i % 2}"} for i in range(8)]
    for system in "abc":
        run = RunSpec(system, "bounce", 0, "none", {})
        made = record(system=system, dataset="bounce", run_id=run.run_id)
        save(create_run_folder(tmp_path, run), made, Score(0.5, 0.1, 8, per_sample=np.arange(8.0) / 7), samples)
    damaged = run.run_id
    for is_damaged in (False, True):
        if is_damaged:
            (tmp_path / damaged / "manifest.json").write_bytes(b"{")
        for format in Format if is_damaged else (Format.json, Format.table):
            done = mmbench_here(capsys, "table", "--out", tmp_path, *how.split(), "--format", format)
            assert done.returncode == 0, done.stderr
            shown = " ".join(html.unescape(done.stdout).replace("\\", "").split())
            assert not is_damaged or damaged in shown or format is Format.quiet, format
            assert ("damaged: " in shown and "manifest.json" in shown) == (is_damaged and format is not Format.quiet)
            if is_damaged and format is Format.json:
                assert any(str(value).startswith("damaged: ") for value in json.loads(done.stdout)[-1].values())


@pytest.mark.parametrize("file", ["manifest.json", "records.jsonl"])
def test_a_damaged_run_hides_no_other_and_is_named(file: str, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    damaged, whole = sorted(out.iterdir())
    path = damaged / file
    path.write_bytes(path.read_bytes().replace(b"bounce", b"bounke", 1))
    assert [r.dataset for _, r in find_records(out)] == ["landscape"]
    assert f"damaged: {damaged.name}" in caplog.text
    assert file in caplog.text
    assert damage_of(whole) == ""
    (whole / "manifest.json").write_bytes(b"{")
    with pytest.raises(IntegrityError, match="is corrupt"):
        find_records(out)


def test_a_run_is_read_once_for_a_table_and_again_when_it_has_changed(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    plain = runs.read_records
    monkeypatch.setattr(runs, "read_records", lambda folder: [asked.append(folder), plain(folder)][1])
    folders = sorted(out.iterdir())
    for _ in range(2):
        assert len(runs.read_runs(out)) == len(folders)
        assert runs.find_damaged(out) == {}
    assert sorted(asked) == folders
    (folders[0] / "manifest.json").write_bytes(b"{")
    assert list(runs.find_damaged(out)) == [folders[0].name]
