"""What `mmbench compare` and `table` take: categories of prompts, packed files, variants of one system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.media.clip_files import write_lossless
from mmbench.registry import make_dataset
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import save
from mmbench.types import Score
from tests.builders import clip, record
from tests.commands import mmbench_here

KINDS = ("cat", "dog", "cat", "dog")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """Rows of a comparison as JSON."""
    done = mmbench_here(capsys, *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def write_table(folder: Path, columns: str = "file,prompt,category") -> None:
    """A table of prompts with the first columns of file, prompt and category."""
    lines = [[f"{i}.mkv", f"a {kind}", kind][: columns.count(",") + 1] for i, kind in enumerate(KINDS)]
    (folder / "prompts.csv").write_text("\n".join([columns, *map(",".join, lines)]) + "\n")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with four clips of each of two models, and a table of prompts with a category."""
    monkeypatch.chdir(tmp_path)
    for k, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        for i in range(4):
            write_lossless(clip(4 * k + i, frames=8, size=16, samples=8000), tmp_path / name / f"{i}.mkv")
        write_table(tmp_path / name)
    return tmp_path


@pytest.mark.e2e
def test_categories_of_the_table_of_prompts_reach_every_command(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated = printed(capsys, "evaluate", "one", "two", "-m", "av_align", "--by", "category")
    groups = [(row["group"], row["system"], row["record"]["n_expected"]) for row in evaluated]
    excess, groups = groups[:2], groups[2:]
    assert excess == [("all", "one", 4), ("all", "two", 4)], "the excess is of all samples alone"
    assert groups == [(g, s, n) for g, n in (("all", 4), ("cat", 2), ("dog", 2)) for s in ("one", "two")]
    for name in ("one", "two"):
        (models / name / "prompts.csv").unlink()  # what was scored knows its categories
    kept = ["group", "system", "difference", "wins"]
    for words in (["compare", "one", "two", "--by", "category"], ["table", "--by", "category"]):
        assert [[r[k] for k in kept] for r in printed(capsys, *words)] == [[r[k] for k in kept] for r in evaluated]
    by_prompt = printed(capsys, "compare", "one", "two", "--by", "prompt")
    assert {row["group"] for row in by_prompt} == {"all", "a cat", "a dog"}
    (models / "all.csv").write_text("file,prompt,category\n0.mkv,a cat,pet\n1.mkv,a dog,pet\n")
    alone = printed(capsys, "evaluate", "one", "-m", "av_align", "--by", "category", "--prompts", "all.csv")
    assert [(row["group"], row["record"]["n_expected"]) for row in alone] == 2 * [("all", 4)] + [
        ("pet", 2),
        ("none", 2),
    ]


@pytest.mark.e2e
def test_clips_scored_before_they_had_a_category_are_scored_again(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        write_table(models / name, "file,prompt")
    assert mmbench_here(capsys, "evaluate", "one", "two").returncode == 0
    for name in ("one", "two"):
        write_table(models / name)
    refused = mmbench_here(capsys, "compare", "one", "two", "--by", "category")
    assert "scored before its clips had a category" in refused.stderr
    again = mmbench_here(capsys, *refused.stderr.partition("try: mmbench ")[2].split())
    assert again.returncode == 0, again.stderr
    assert mmbench_here(capsys, "compare", "one", "two", "--by", "category").returncode == 0


@pytest.mark.e2e
def test_what_a_dataset_knows_of_its_prompts_groups_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        mmbench_here(capsys, "run", "-s", "ground_truth", "-s", "independent", "-n", "6", "-m", "av_align").returncode
        == 0
    )
    found = printed(capsys, "compare", "ground_truth", "independent", "--by", "num_balls")
    truth = [p.data["num_balls"] for p in make_dataset("bounce").prompts(6, 0)]
    sizes = {row["group"]: row["record"]["n_expected"] for row in found if row["system"] == "ground_truth"}
    assert sizes == {"all": 6} | {str(k): truth.count(k) for k in sorted(set(truth))}
    refused = mmbench_here(capsys, "compare", "ground_truth", "independent", "--by", "colour")
    assert "prompt, material, size, num_balls" in refused.stderr


def scored_run(out: Path, system: str, value: float, **options: Any) -> str:
    """A run with samples and one record; returns its id."""
    spec = {"system": {"name": system, "code": "c", **options}, "seed": 0, "dataset": {"name": "d"}}
    run = RunSpec(system, "d", 0, "real", spec)
    folder = create_run_folder(out, run, ("samples",))
    about: dict[str, Any] = {"run_id": run.run_id, "digest": run.digest, "system": system, "n_expected": 2}
    score = Score(value, 0.1, 2, per_sample=np.array([value, value + 0.1]))
    save(
        folder,
        record(**about, n_scored=2, n_present=2, value=value),
        score,
        [{"id": id, "labels": {"kind": "x"}} for id in "01"],
    )
    return run.run_id


def test_variants_of_one_system_have_the_option_that_differs_in_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [scored_run(tmp_path, "a", 0.1 * steps, steps=steps) for steps in (2, 5)]
    trained = [scored_run(tmp_path, "a+mmdisco", 0.5, mmdisco={"weights": str(k) * 32}) for k in (1, 2)]
    rows = printed(capsys, "compare", *ids, *trained, "--out", str(tmp_path))
    names = [row["system"] for row in rows]
    assert names == ["a (steps=2)", "a (steps=5)", *(f"a+mmdisco (mmdisco weights={str(k) * 8})" for k in (1, 2))]


def test_a_guided_variant_is_compared_with_the_base_of_its_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [scored_run(tmp_path, s, v, steps=k) for v, s, k in ((1, "a", 2), (2, "a", 5), (3, "a+m", 2), (4, "a+m", 5))]
    rows = printed(capsys, "compare", *ids, "--out", str(tmp_path))
    against = [row["difference"] and row["difference"]["against"] for row in rows]
    assert against == [None, "a (steps=2)", "a (steps=2)", "a (steps=5)"]
    grouped = printed(capsys, "table", "--out", str(tmp_path), "--by", "kind")
    told = {(row["group"], row["system"]): row["difference"] and row["difference"]["against"] for row in grouped}
    assert told["all", "a+m (steps=5)"] == "a (steps=5)"
    assert told["x", "a+m (steps=2)"] == "a (steps=2)"


def test_packed_runs_stand_beside_others_without_differences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    theirs, mine = Path("theirs"), Path("runs")
    for out, system, value in ((theirs, "theirs", 0.5), (mine, "mine", 0.6), (mine, "other", 0.7)):
        scored_run(out, system, value)
    assert mmbench_here(capsys, "pack", "theirs", "--out", "theirs.jsonl").returncode == 0
    rows = {row["system"]: row for row in printed(capsys, "compare", "mine", "theirs.jsonl", "other")}
    assert list(rows) == ["mine", "theirs", "other"]
    assert rows["theirs"]["record"]["value"] == 0.5
    assert rows["theirs"]["difference"] is None
    assert rows["other"]["difference"]["against"] == "mine"
    text = " ".join(mmbench_here(capsys, "compare", "mine", "theirs.jsonl").stdout.split())
    assert "theirs to mine: no difference, for a packed file holds no values per sample." in text
    both = mmbench_here(capsys, "table", "--out", "runs", "--out", "theirs.jsonl", "--format", "json")
    assert sorted(row["system"] for row in json.loads(both.stdout)) == ["mine", "other", "theirs"]
    assert mmbench_here(capsys, "pack", "runs", "--out", "runs.jsonl").returncode == 0
    twice = printed(capsys, "compare", "mine", "other", "runs.jsonl")
    assert [row["system"] for row in twice] == ["mine", "other"], "a run that is there twice counts once"


@pytest.mark.e2e
def test_show_lists_the_clips_that_cannot_be_read(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "one" / "prompts.csv").unlink()
    (models / "one" / "2.mkv").write_bytes((models / "one" / "2.mkv").read_bytes()[:3000])
    (models / "one" / "3.mkv").write_text("no video")
    assert mmbench_here(capsys, "evaluate", "one").returncode == 0
    (run,) = (f.name for f in (models / "runs").glob("one-*"))
    found = json.loads(mmbench_here(capsys, "show", run, "--format", "json").stdout)
    assert {row["id"] for row in found["unreadable"]} == {"2.mkv", "3.mkv"}
    assert all(row["reason"] for row in found["unreadable"])


def test_show_lists_the_samples_of_a_run_that_could_not_be_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = scored_run(tmp_path, "a", 0.5)
    shown = json.loads(mmbench_here(capsys, "show", run, "--out", tmp_path, "--format", "json").stdout)
    assert "unreadable" not in shown
    samples = [{"id": "0"}, {"id": "1", "unreadable": "truncated"}]
    made = record(**{**shown["records"][0], "time": "2026-02-01T00:00:00Z", "n_scored": 1, "n_failed": 1})
    save(tmp_path / run, made, Score(0.5, 0.1, 1, per_sample=np.array([0.5, np.nan])), samples)
    shown = json.loads(mmbench_here(capsys, "show", run, "--out", tmp_path, "--format", "json").stdout)
    assert shown["unreadable"] == [{"id": "1", "reason": "truncated"}]
