"""The script that measures growth: its processes, its further runs and its exponents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.runs.generate import generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore
from mmbench.scores.records import read_scored, save
from mmbench.tables.runs import read_runs
from mmbench.types import Score
from tests.builders import record
from tests.commands import load_script
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    return load_script("measure_growth", monkeypatch)


def test_each_command_is_a_process_with_a_peak_of_its_own(script: Any, tmp_path: Path) -> None:
    found = script.measure("list runs", 8, ("list", "runs"), tmp_path)
    assert (found.command, found.n) == ("list runs", 8)
    assert found.cpu > 0
    assert 10 < found.peak_mb < 1000
    with pytest.raises(RuntimeError, match="Nothing is called"):
        script.measure("show", 8, ("show", "nobody"), tmp_path)


def test_further_runs_have_the_samples_of_the_first_and_scores_of_their_own(script: Any, tmp_path: Path) -> None:
    spec = {"system": {"name": "growth_system"}, "seed": 0}
    store = SampleStore.create(tmp_path, RunSpec("growth_system", "growth_dataset", 0, "none", spec))
    generate(store, FixtureSystem(), make_requests(FixtureDataset(), 3, 0))
    about = {"run_id": store.run.run_id, "digest": store.run.digest, "system": "growth_system", "n_expected": 3}
    save(store.folder, record(**about), Score(0.5, 0.1, 3, per_sample=np.arange(3.0)), [{"id": f"{i}"} for i in "abc"])
    script.link_runs(tmp_path, 5, 2)
    runs = read_runs(tmp_path)
    names = [(run.spec.system, run.spec.seed) for run in runs]
    plain, guided = ([seed for system, seed in sorted(names) if system.endswith("+1") is g] for g in (False, True))
    assert (plain, guided) == ([0, 1, 2], [0, 1])
    assert len({read_scored(run.place, r).score.per_sample[0] for run in runs for r in run.records}) == 5
    for run in runs:
        linked = SampleStore.open(run.place)
        assert linked.status().present == [0, 1, 2]
        linked.verify(2)


def test_exponents_are_of_the_upper_half_and_beyond_the_start(script: Any) -> None:
    sizes = (8, 256, 512, 1024, 2048)
    found = [script.Measured("a", n, 0.0, 0.7 + 1e-6 * n**2 if n > 8 else 0.7, float(n)) for n in sizes]
    found += [script.Measured("b", n, 0.0, 0.7, 100.0) for n in sizes]
    slopes = script.exponents(found)
    assert slopes["a"]["beyond_start"] == pytest.approx(2.0, abs=0.01)
    assert slopes["a"]["cpu"] < 1.9
    assert slopes["a"]["peak_mb"] == 1.0
    assert slopes["b"] == {"cpu": 0.0, "beyond_start": None, "peak_mb": 0.0}
    assert script.slope([(1, 1)]) is None


def test_a_folder_of_many_runs_alone_is_told(script: Any, tmp_path: Path) -> None:
    told = script.save(tmp_path / "growth.json", {"load": [(0.0, 0.0, 0.0)]}, [], [{"runs": 4, "wall": 1.5}])
    assert list(script.tables(told)) == ["| runs | wall |\n| --- | --- |\n| 4 | 1.5 |"]


@pytest.mark.thorough
def test_it_measures_every_command_at_two_sizes_and_a_folder_of_runs(script: Any, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    growth = list(script.grow([4, 8], tmp_path))
    assert [m.command for m in growth] == [*script.commands(4)] * 2
    many = list(script.start_up(tmp_path / "many", 4, 2, 4))
    assert [m.command for m in many] == ["list runs", "table", "show", "generate, finished"]
    told = script.save(tmp_path / "growth.json", {"load": [(0.0, 0.0, 0.0)]}, growth, [{"runs": 4}])
    assert "| evaluate, features known |" in "\n".join(script.tables(told))
