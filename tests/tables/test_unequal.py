"""Folders that lack a clip or two stand in one table with the others, under their own n."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import save
from mmbench.tables.newest import newest_set
from mmbench.tables.table import pivot
from mmbench.types import Score
from tests.builders import record
from tests.commands import mmbench_here


def submit(out: Path, name: str, files: Iterable[int], time: int = 1, **changes: Any) -> str:
    """A submission of clips with these names; returns its id."""
    names = [f"clip{i}" for i in files]
    run = RunSpec(name, "none", 0, "real", {"submission": name})
    folder = create_run_folder(out, run)
    n = len(names)
    about: dict[str, Any] = {"run_id": run.run_id, "digest": run.digest, "system": name, "dataset": "none"}
    about |= {"n_expected": n, "n_present": n, "n_scored": n, "time": f"2026-01-0{time}T00:00:00Z", **changes}
    values = np.linspace(0, 1, n)
    save(folder, record(**about), Score(0.5, 0.1, n, per_sample=values), [{"id": id} for id in names])
    return run.run_id


def test_a_folder_that_lacks_a_clip_stands_beside_the_others_with_its_n(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [submit(tmp_path, "good", range(8)), submit(tmp_path, "late", range(1, 8), time=2)]
    found = newest_set(tmp_path)
    rows = {row["system"]: int(row["n"]) for row in pivot(found.records, any_n=True).rows}
    assert rows == {"good": 8, "late": 7}
    (note,) = found.notes
    assert note.startswith("n differs: late 7, good 8. For differences over the samples they share, try: mmbench ")
    typed = mmbench_here(capsys, *note.partition("try: mmbench ")[2].split())
    assert typed.returncode == 0, typed.stderr
    assert "7 of 8; only in good: clip0" in " ".join(typed.stdout.split())
    assert all(run in note for run in ids)


def test_distances_of_another_n_are_left_out_and_named(tmp_path: Path) -> None:
    for name, files in (("good", range(8)), ("late", range(1, 8))):
        submit(tmp_path, name, files)
        submit(tmp_path, name, files, metric="fvd.v", reference={"dataset": "d", "n": 8})
    found = newest_set(tmp_path)
    assert sorted((r.system, r.metric) for r in found.records if r.metric == "m.v") == [
        ("good", "m.v"),
        ("late", "m.v"),
    ]
    (left,) = [r.system for r in found.records if r.metric == "fvd.v"]
    other = {"good": "late", "late": "good"}[left]
    assert any(note.startswith(f"Not shown, fvd.v of {other}: its n is not that") for note in found.notes)


def test_other_folders_and_other_sizes_stay_apart(tmp_path: Path) -> None:
    submit(tmp_path, "good", range(8), time=2)
    submit(tmp_path, "few", range(3))
    submit(tmp_path, "other", range(100, 107))
    found = newest_set(tmp_path)
    assert [r.system for r in found.records] == ["good"]
    assert len(found.notes) == 2
