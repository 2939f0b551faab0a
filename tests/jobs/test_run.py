"""A job is opened once: its dataset, its metrics, their networks; its scores reach the table without the disk."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mmbench.identity import digest_of
from mmbench.jobs import opening
from mmbench.jobs import run as whole_job
from mmbench.jobs.evaluate import evaluate_all, export_reference
from mmbench.jobs.generate import generate_runs
from mmbench.jobs.run import run
from mmbench.jobs.settings import Settings
from mmbench.metrics.extractors.bounce import BounceExtractor
from mmbench.registry import make_dataset, make_metric
from mmbench.runs import spec
from mmbench.runs.generate import Shard
from mmbench.scores import records
from mmbench.tables.compare import table_of
from mmbench.tables.format import with_error
from tests.commands import mmbench_here

SYSTEMS = ("ground_truth", "independent")


def test_the_dataset_is_opened_and_each_network_loaded_once_for_all_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    load = BounceExtractor._load

    def opened(name: str, **settings: Any) -> Any:
        calls[f"dataset {name}"] += 1
        return make_dataset(name, **settings)

    def made(name: str, **settings: Any) -> Any:
        calls[f"metric {name}"] += 1
        return make_metric(name, **settings)

    def loaded(self: BounceExtractor) -> Any:
        calls[f"network {self.tower}"] += 1
        return load(self)

    def hashed(value: Any) -> str:
        calls[f"digest {spec.canonical_json(value)}"] += 1
        return digest_of(value)

    monkeypatch.setattr(opening, "make_dataset", opened)
    monkeypatch.setattr(opening, "make_metric", made)
    monkeypatch.setattr(BounceExtractor, "_load", loaded)
    monkeypatch.setattr("mmbench.features.cache.digest_of", hashed)
    monkeypatch.setattr("mmbench.scores.evaluate.digest_of", hashed)
    monkeypatch.setattr("mmbench.features.reference.digest_of", hashed)
    run(Settings(systems=SYSTEMS, num_samples=2, out=tmp_path, workers=1, quiet=True))
    wanted = {f"metric {name}" for name in make_dataset("bounce").default_metrics}
    wanted |= {"dataset bounce", "network video", "network audio", "network text"}
    assert {name for name in calls if not name.startswith("digest")} == wanted
    assert {name: n for name, n in calls.items() if n > 1} == {}


def test_scores_reach_the_table_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "read_samples", None)  # nothing reads what was just computed
    monkeypatch.setattr(records, "read_score", None)
    settings = Settings(systems=SYSTEMS, num_samples=3, out=tmp_path, metrics=("av_align",), workers=1, quiet=True)
    scored = run(settings)
    _, (first, second) = table_of(scored)
    assert second.difference is not None
    assert second.against == "ground_truth"
    monkeypatch.undo()
    again = [records.read_scored(s.folder, s.record) for s in scored]
    assert [s.score.per_sample.tolist() for s in scored] == [s.score.per_sample.tolist() for s in again]  # type: ignore
    assert first.record == again[0].record


def test_the_processes_of_a_launcher_share_all_work_and_score_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[str, int]] = []
    extract = BounceExtractor.extract

    def watched(self: BounceExtractor, batch: Any) -> Any:
        looks.append((self.tower, len(batch)))
        return extract(self, batch)

    monkeypatch.setattr(BounceExtractor, "extract", watched)
    metrics = ("fvd_bounce", "ib_bounce_av")

    def job(place: str, shard: Shard) -> list[dict[str, Any]]:
        settings = Settings(
            SYSTEMS, num_samples=3, out=tmp_path / place, workers=1, metrics=metrics, shard=shard, quiet=True
        )
        return [{**asdict(scored.record), "time": ""} for scored in run(settings)]

    alone = job("alone", Shard())
    once = Counter(looks)
    looks.clear()
    with ThreadPoolExecutor(2) as pool:
        first, other = pool.map(lambda rank: job("shared", Shard(rank, 2)), range(2))
    assert first == alone
    assert other == []
    assert Counter(looks) == once


def test_a_process_that_follows_computes_features_and_writes_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(("independent",), num_samples=3, out=tmp_path, workers=1, metrics=("fvd_bounce",), quiet=True)
    (store,) = generate_runs(settings)
    file = tmp_path / "bounce.safetensors"
    assert evaluate_all(replace(settings, shard=Shard(1, 2)), [store.folder.name]) == []
    assert export_reference(replace(settings, shard=Shard(1, 2)), file, False) is None
    assert not (store.folder / "records.jsonl").exists()
    assert not file.exists()
    monkeypatch.setattr(BounceExtractor, "extract", None)  # all of it is there
    ((scored,),) = evaluate_all(replace(settings, shard=Shard(0, 2)), [store.folder.name])
    assert scored.record.n_scored == 3
    written = export_reference(replace(settings, shard=Shard(0, 2)), file, False)
    assert written is not None
    assert written.about["clips"] == 3


def test_each_system_is_scored_and_said_before_the_next_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there: list[int] = []
    score = whole_job.score_store

    def scored_now(*given: Any) -> Any:
        there.append(len(list(tmp_path.glob("*-bounce-*"))))
        return score(*given)

    monkeypatch.setattr(whole_job, "score_store", scored_now)
    given: dict[str, Any] = {"num_samples": 3, "metrics": ("av_align",), "workers": 1}
    found = run(Settings(systems=SYSTEMS, out=tmp_path, **given))
    assert there == [1, 2]
    assert [s.record.system for s in found] == list(SYSTEMS), "in the order asked for"
    excess = found[0].record
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert first.startswith(
        f"ground_truth: av_align excess {with_error(excess.excess, excess.excess_stderr)}, av_align"
    )
    assert second.startswith("independent: av_align excess ")
    run(Settings(systems=SYSTEMS, out=tmp_path, quiet=True, **given))
    assert capsys.readouterr().err == ""


def test_a_run_ends_with_its_contact_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("-s", "ground_truth", "-s", "independent", "-n", 2, "-m", "av_align", "--out", tmp_path, "--workers", 1)
    done = mmbench_here(capsys, "run", *words)
    assert done.returncode == 0, done.stderr
    table, sheet = (done.stdout.index(part) for part in ("av_align excess ↑", "Contact sheet"))
    assert table < sheet
    assert str(tmp_path / "preview" / "contact_sheet.png") in done.stdout[sheet:]
    assert "guidance" not in done.stdout, "nothing is guided"
    (tmp_path / "preview" / "contact_sheet.png").unlink()
    mmbench_here(capsys, "run", *words, "--format", "json")
    assert not list((tmp_path / "preview").iterdir()), "for programs there is no picture"


@pytest.mark.thorough
def test_a_run_ends_with_table_contact_sheet_and_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    systems = ("ground_truth", "tiny", "tiny+mmdisco")
    words = [word for system in systems for word in ("-s", system)]
    options = ("-n", 2, "-m", "av_align", "--set", "num_inference_steps=2", "--out", tmp_path)
    done = mmbench_here(capsys, "run", *words, *options)
    assert done.returncode == 0, done.stderr
    table, sheet, verdict = (
        done.stdout.index(part) for part in ("av_align excess ↑", "Contact sheet", "Does guidance")
    )
    assert table < sheet < verdict
    assert (tmp_path / "preview" / "contact_sheet.png").is_file()
    assert not list((tmp_path / "preview").glob("*.mp4"))
    assert "tiny+mmdisco: " in done.stdout[verdict:]
    assert "against tiny: av_align excess " in done.stdout[verdict:]
    assert "to ground_truth av_align excess " in done.stdout[verdict:]
    as_json = mmbench_here(capsys, "run", *words, *options, "--format", "json")
    assert [row["system"] for row in json.loads(as_json.stdout)] == 2 * list(systems)
