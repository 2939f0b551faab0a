"""A folder made from a list of requests: what is missing, misnamed or of another form is said, the rest is scored."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mmbench.jobs.delivery import guess_name, match_requests
from mmbench.media.clip_files import write_lossless
from mmbench.media.sources import submission
from mmbench.registry import make_dataset
from mmbench.runs.requests import list_requests
from tests.builders import clip
from tests.commands import mmbench_here
from tests.tar_files import write_tar

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def delivered(tmp_path: Path, capsys: Capture) -> Path:
    """Six requests; clips of 0, 1, 2 and 4, one that is none, one under a name of its own, and the list."""
    folder = tmp_path / "delivered"
    folder.mkdir()
    for name in ("000000", "000001", "000002", "sample_3", "000004"):
        write_lossless(clip(int(name[-1]), frames=16, size=64, samples=32000), folder / f"{name}.mkv")
    (folder / "000005.mp4").write_text("no video")
    done = mmbench_here(capsys, "prompts", "-d", "bounce", "-n", "6", "-o", folder / "requests.jsonl")
    assert done.returncode == 0, done.stderr
    return folder


def evaluate(capsys: Capture, folder: Path, *more: str | Path) -> CompletedProcess[str]:
    out = ["-m", "av_align", "--out", folder.parent / "runs", "-f", "json"]
    return mmbench_here(capsys, "evaluate", folder, *out, *more)


def test_what_is_missing_or_misnamed_is_said_on_record_and_the_rest_is_scored(delivered: Path, capsys: Capture) -> None:
    done = evaluate(capsys, delivered)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)[0]["record"]
    names = ("n_expected", "n_scored", "n_unscored", "n_failed", "n_missing")
    assert [record[name] for name in names] == [6, 4, 0, 1, 1]
    assert record["warnings"] == {
        "missing": {"n": 1, "ids": {"000003.mp4": ""}},
        "unexpected": {"n": 1, "ids": {"sample_3.mkv": "is it 000003.mp4?"}},
    }
    assert done.stderr.count("missing, 1 clip: requested, and not there (000003.mp4)") == 1
    assert done.stderr.count("(sample_3.mkv: is it 000003.mp4?)") == 1
    (scores,) = delivered.parent.glob("runs/*/scores/*.jsonl")
    shown = mmbench_here(capsys, "show", record["run_id"], "--out", delivered.parent / "runs").stdout
    assert "n = 6: missing, 1 clip: requested, and not there (000003.mp4)" in shown
    rows = [json.loads(line) for line in scores.read_text().splitlines()]
    assert [row.get("id") for row in rows] == ["000000", "000001", "000002", None, "000004", "000005.mp4"]
    lines = list_requests(make_dataset("bounce"), "bounce", 6, 0)
    assert [r["text"] for r in rows if "text" in r] == [line.prompt for line in lines if line.index not in (3, 5)]


def test_a_complete_folder_in_the_form_requested_has_no_warning(delivered: Path, capsys: Capture) -> None:
    (delivered / "sample_3.mkv").rename(delivered / "000003.mkv")
    (delivered / "000005.mp4").unlink()
    write_lossless(clip(5, frames=16, size=64, samples=32000), delivered / "000005.mkv")
    done = evaluate(capsys, delivered)
    record = json.loads(done.stdout)[0]["record"]
    assert (record["n_scored"], record["warnings"], done.stderr) == (6, {}, "")
    write_lossless(clip(5, frames=12, size=64, samples=24000), delivered / "000005.mkv")
    again = evaluate(capsys, delivered)
    told = json.loads(again.stdout)[0]["record"]["warnings"]
    assert told["format"]["ids"]["000005"].startswith("1.5 s of 64x64 at 8 fps")
    assert "requested: 2 s of 64x64 at 8 fps" in again.stderr
    assert list(told) == ["format"]


def test_a_list_elsewhere_is_as_good_and_another_list_is_another_submission(delivered: Path, capsys: Capture) -> None:
    inside = json.loads(evaluate(capsys, delivered).stdout)[0]["record"]
    elsewhere = delivered.parent / "list.csv"
    (delivered / "requests.jsonl").unlink()
    assert mmbench_here(capsys, "prompts", "-n", "6", "-o", elsewhere).returncode == 0
    outside = json.loads(evaluate(capsys, delivered, "--requests", elsewhere).stdout)[0]["record"]
    assert outside["run_id"] == inside["run_id"]
    longer = delivered.parent / "longer.csv"
    assert mmbench_here(capsys, "prompts", "-n", "7", "-o", longer).returncode == 0
    more = json.loads(evaluate(capsys, delivered, "--requests", longer).stdout)[0]["record"]
    assert (more["run_id"] == inside["run_id"], more["n_expected"], more["n_missing"]) == (False, 7, 2)
    without = json.loads(evaluate(capsys, delivered).stdout)[0]["record"]
    assert (without["n_expected"], without["n_scored"], without["warnings"]) == (6, 5, {})


def test_a_bad_clip_in_an_archive_is_the_one_that_was_requested(tmp_path: Path) -> None:
    write_lossless(clip(0, frames=16, size=64, samples=32000), tmp_path / "good.mkv")
    names = ("000000.video.mkv", "000002.video.mp4", "caf\udce9.mp4")
    data = ((tmp_path / "good.mkv").read_bytes(), b"no video", b"")
    shard = write_tar(tmp_path / "0.tar", zip(names, data, strict=True))
    lines = list(list_requests(make_dataset("bounce"), "bounce", 3, 0))
    made = match_requests(shard, *submission(shard), lines)
    ((index, (name, reason)),) = made.counts.failures.items()
    assert (index, name) == (2, "000002.video.mp4")
    assert "cannot be read" in reason
    assert {kind: list(ids) for kind, ids in made.counts.warned.items()} == {
        "missing": ["000001.mp4"],
        "unexpected": ["caf\\udce9.mp4"],
    }


def test_what_cannot_be_meant_is_refused(delivered: Path, capsys: Capture) -> None:
    table = delivered.parent / "prompts.csv"
    table.write_text("file,prompt\n000000.mkv,a ball\n")
    both = evaluate(capsys, delivered, "--prompts", table)
    assert (both.returncode, "prompts or requests" in both.stderr) == (2, True)
    one = evaluate(capsys, delivered / "000000.mkv", "--requests", delivered / "requests.jsonl")
    assert (one.returncode, "is a file" in one.stderr) == (2, True)
    for number, file in enumerate(sorted(delivered.glob("0*"))):
        file.rename(delivered / f"video{number}{file.suffix}")
    none = evaluate(capsys, delivered)
    assert none.returncode == 1
    assert "No file" in none.stderr
    assert "000000.mp4 to 000005.mp4" in none.stderr
    assert not list(delivered.parent.glob("runs/delivered*")), "nothing is on record"


def test_a_name_is_guessed_by_prompt_by_number_or_by_likeness() -> None:
    lines = list(list_requests(make_dataset("bounce"), "bounce", 300, 0))
    guesses = {
        "bounce-0-000123.mp4": "is it 000123.mp4?",
        "clip_2_of_model_7.mkv": "is it 000007.mp4?",
        "00000l.mp4": "is it 000000.mp4?",
        "holiday.mov": "",
        "999.mp4": "",
    }
    assert {name: guess_name(name, lines) for name in guesses} == guesses


@pytest.mark.e2e
def test_clips_made_from_the_list_pair_with_a_run_of_the_dataset(tmp_path: Path, capsys: Capture) -> None:
    runs = tmp_path / "runs"
    assert mmbench_here(capsys, "generate", "-s", "ground_truth", "-n", "3", "--out", runs).returncode == 0
    (samples,) = runs.glob("ground_truth-*/samples")
    folder = tmp_path / "mine"
    folder.mkdir()
    assert mmbench_here(capsys, "prompts", "-n", "3", "-o", folder / "requests.csv").returncode == 0
    for file in samples.glob("*.mkv"):
        (folder / file.name).write_bytes(file.read_bytes())
    write_lossless(clip(9, frames=16, size=64, samples=32000), folder / "holiday.mkv")
    done = mmbench_here(capsys, "evaluate", folder, samples.parent, "-m", "av_align", "--out", runs)
    assert done.returncode == 0, done.stderr
    assert "paired by file name, 3 of 3" in done.stdout
    assert "( ): the number of another system" in done.stdout, "the same clips with the same prompts"
    again = mmbench_here(capsys, "compare", folder, samples.parent, "--out", runs)
    assert (again.returncode, "3 of 3" in again.stdout) == (0, True), again.stderr
