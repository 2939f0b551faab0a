"""Runs of a folder are listed, damaged ones by what is wrong, and those of several folders brought together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.files import read_json
from mmbench.jobs.list import list_metrics, list_runs, merge, run_lines
from mmbench.registry import Broken, discover
from mmbench.runs import store as store_module
from mmbench.runs.generate import Shard, generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore, create_run_folder
from mmbench.scores.records import save
from mmbench.types import Score
from tests.builders import record, strip_checksums
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem

RUN = RunSpec("s", "d", 0, "none", {"steps": 1})
REQUESTS = make_requests(FixtureDataset(), 4, 0)


def part(out: Path, shard: Shard | None = None, run: RunSpec = RUN) -> SampleStore:
    """A run under `out`, or its part."""
    store = SampleStore.create(out, run)
    generate(store, FixtureSystem(), REQUESTS, shard=shard)
    return store


def test_a_list_tells_runs_submissions_and_damage_apart(tmp_path: Path) -> None:
    store = part(tmp_path)
    store.fail(make_requests(FixtureDataset(), 5, 0)[4], "error", "no reason")
    for metric in ("a.v", "b.v"):
        save(store.folder, record(metric=metric, signature=metric, n_expected=1), Score(0.5, None, 1), [None])
    create_run_folder(tmp_path, RunSpec("theirs", "none", 0, "real", {"submission": "x"}))
    (tmp_path / "zz-broken").mkdir()
    (tmp_path / "zz-broken" / "manifest.json").write_text("{")
    (tmp_path / "features").mkdir()
    run, submission, broken = list_runs(tmp_path)
    assert (run["run"], run["present"], run["failed"], run["records"]) == (RUN.run_id, 4, 1, "a.v, b.v")
    assert (run["system"], run["dataset"], run["seed"], run["weights"], run["status"]) == ("s", "d", 0, "none", "")
    assert (submission["system"], submission["present"], submission["status"]) == ("theirs", None, "submission")
    assert broken["run"] == "zz-broken"
    assert broken["status"].startswith("damaged: ")
    assert "manifest.json" in broken["status"]
    assert list_runs(tmp_path / "nowhere") == []


def test_each_manifest_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        SampleStore.create(tmp_path, replace(RUN, seed=seed, spec={"seed": seed}))
    read = list[Path]()
    monkeypatch.setattr(store_module, "read_json", lambda path: [read.append(path), read_json(path)][1])
    assert len(list_runs(tmp_path)) == 3
    assert len(read) == 3


def test_lines_of_runs_keep_ids_whole_and_fit() -> None:
    ids = ["tiny-bounce-s0-2a99990a", "auffusion_vc2+mmdisco-res_frieren-denoise-fast-vggsound-s0-dec90f4b"]
    about = {"system": "s", "dataset": "d", "seed": 0, "weights": "random", "present": 1, "failed": 2, "status": ""}
    runs = [{"run": name, **about, "records": "a.v, b.v"} for name in ids]
    runs.append({"run": "zz", "status": "damaged: manifest.json"})
    for width in (60, 80, 120):
        lines = run_lines(runs, width)
        assert all(len(line) <= max(width, len(ids[1])) for line in lines)
        assert all(any(line.split()[0] == run["run"] for line in lines) for run in runs)
        told = " ".join(" ".join(lines).split())
        assert told.count("1 sample, 2 failed, 2 metrics, random weights") == 2
        assert told.endswith("damaged: manifest.json")


def test_a_metric_is_listed_with_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))
    monkeypatch.delenv("MMBENCH_WEIGHTS_I3D", raising=False)
    monkeypatch.chdir(tmp_path)
    entries, _ = discover("metric")
    bad = Broken("metric", "bounce", "mmbench.metrics.bounce", "ImportError: no module 'gone'")
    monkeypatch.setattr("mmbench.jobs.list.discover", lambda kind: (entries, [bad]))
    rows = {row["name"]: row for row in list_metrics()}
    assert rows["fvd"]["lacks"] == "weights: mmbench weights fetch i3d"
    assert rows["av_align"]["lacks"] is None
    assert rows["fvd_bounce"]["lacks"] == "BROKEN: ImportError: no module 'gone'"
    assert rows["fvd_bounce"]["broken"]
    (tmp_path / "i3d").touch()
    monkeypatch.setenv("MMBENCH_WEIGHTS_I3D", str(tmp_path / "i3d"))
    assert {row["name"]: row["lacks"] for row in list_metrics()}["fvd"] is None


def test_parts_are_merged_into_the_whole(tmp_path: Path) -> None:
    a, b = part(tmp_path / "a", Shard(0, 2)), part(tmp_path / "b", Shard(1, 2))
    b.fail(make_requests(FixtureDataset(), 6, 0)[5], "error", "no reason")
    rows = merge([tmp_path / "a", b.folder], tmp_path / "whole")
    assert [(r["added"], r["present"]) for r in rows] == [(2, 2), (2, 4)]
    assert [r["from"] for r in rows] == [str(tmp_path / "a"), str(b.folder)]
    assert rows[1]["failed"] == 1
    whole, alone = SampleStore.open(tmp_path / "whole" / RUN.run_id), part(tmp_path / "alone")
    assert whole.status(6).failed == [5]
    for index in range(4):
        whole.verify(index)
        assert whole.record(index).digest == alone.record(index).digest
    assert [r["added"] for r in merge([tmp_path / "a", tmp_path / "b"], tmp_path / "whole")] == [0, 0]
    assert a.status().present == [0, 2], "the parts stay as they were"


def test_what_holds_no_run_or_another_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MMBenchError, match="holds no run"):
        merge([tmp_path], tmp_path / "whole")
    part(tmp_path / "a")
    other = part(tmp_path / "b")
    text = strip_checksums(other.samples / "000001.json").read_text()
    (other.samples / "000001.json").write_text(text.replace(other.record(1).digest, "0" * 32))
    with pytest.raises(IntegrityError, match="Sample 1 differs"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "whole")


def test_different_runs_stay_apart(tmp_path: Path) -> None:
    part(tmp_path / "a")
    part(tmp_path / "b", run=RunSpec("s", "d", 1, "none", {"steps": 1, "seed": 1}))
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "whole")
    assert len(list_runs(tmp_path / "whole")) == 2
