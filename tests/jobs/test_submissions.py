"""Anybody's clips through the command line: folders, pairs, lossy files, files that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmbench.jobs.submissions import WHOLE, open_submission
from mmbench.media.clip_files import write_lossless, write_preview
from mmbench.scores.records import read_records
from mmbench.tables.compare import comparable, list_caveats
from tests.builders import clip
from tests.commands import mmbench, mmbench_here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips without loss, one with, a text file in disguise, and a table of prompts."""
    clips = tmp_path / "clips"
    clips.mkdir()
    for i in range(3):
        write_lossless(clip(i, frames=16, size=32, samples=32000), clips / f"clip{i}.mkv")
    write_preview(clip(3, frames=16, size=32, samples=32000), clips / "clip3.mp4")
    (clips / "clip4.mp4").write_text("not a video")
    (clips / "notes.txt").write_text("ignored")
    (clips / "prompts.csv").write_text("file,prompt\nclip0.mkv,a glass ball\nclip1.mkv,a wooden ball\n")
    return clips


@pytest.mark.e2e
def test_a_folder_is_scored_and_every_file_accounted_for(folder: Path, tmp_path: Path) -> None:
    result = mmbench("evaluate", folder, "--name", "mine", "--out", tmp_path / "runs", "--format", "json")
    assert result.returncode == 0, result.stderr
    _, row = json.loads(result.stdout)  # the excess comes first
    record = row["record"]
    assert record["system"] == "mine"
    assert (record["n_expected"], record["n_present"], record["n_failed"]) == (5, 4, 1)
    assert record["lossy"] is True
    assert "clip4.mp4 is not scored" in result.stderr
    (values,) = (tmp_path / "runs").glob("mine-*/scores/*.jsonl")
    lines = [json.loads(line) for line in values.read_text().splitlines()]
    assert [line.get("codecs") for line in lines] == ["ffv1+flac"] * 3 + ["h264+aac, lossy", None]
    assert [line.get("text") for line in lines[:3]] == ["a glass ball", "a wooden ball", ""]


def test_the_same_clips_are_the_same_submission_wherever_they_lie(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved"
    folder.rename(moved)
    ids = set()
    for out in ("a", "b"):
        done = mmbench_here(
            capsys, "evaluate", moved, "--name", "mine", "-m", "av_align", "--out", tmp_path / out, "--format", "json"
        )
        assert done.returncode == 0, done.stderr
        ids.add(json.loads(done.stdout)[0]["record"]["run_id"])
    assert len(ids) == 1
    (moved / "clip2.mkv").unlink()
    fewer = mmbench_here(capsys, "evaluate", moved, "--name", "mine", "--out", tmp_path / "a", "--format", "json")
    assert json.loads(fewer.stdout)[0]["record"]["run_id"] not in ids


def test_silent_and_static_clips_are_unscored_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    moving = clip(0, frames=16, size=32, samples=32000)
    write_lossless(moving, clips / "a.mkv")
    still = type(moving)(np.zeros_like(moving.video), 8.0, np.zeros(32000, np.float32), 16000)
    write_lossless(still, clips / "b.mkv")
    done = mmbench_here(capsys, "evaluate", clips, "--out", tmp_path / "runs", "--format", "json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)[0]["record"]
    assert (record["n_scored"], record["n_unscored"]) == (1, 1)
    assert record["stderr"] is None


@pytest.mark.e2e
def test_a_folder_is_a_folder_whatever_runs_are_called_like_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ([], [], ["--dataset", "bounce", "-m", "fvd_bounce"], []):
        done = mmbench_here(capsys, "evaluate", "clips", "-m", "av_align", *more)
        assert done.returncode == 0, done.stderr


@pytest.mark.e2e
def test_a_folder_against_itself_is_at_no_distance_and_all_of_it_is_compared_with(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "clip4.mp4").unlink()
    (folder / "clip3.mp4").unlink()
    metrics = ["-m", "fvd_bounce", "-m", "fad_bounce", "--out", tmp_path / "runs", "--format", "json"]
    done = mmbench_here(capsys, "evaluate", folder, "--dataset", f"folder:{folder}", *metrics)
    assert done.returncode == 0, done.stderr
    for row in json.loads(done.stdout):
        assert row["record"]["value"] == pytest.approx(0.0, abs=1e-6)
        assert row["record"]["low"] <= row["record"]["value"] <= row["record"]["high"]
        assert row["record"]["reference"]["n"] == 3
        assert "differs" not in row["record"]["reference"]
    table = mmbench_here(capsys, "evaluate", folder, "--dataset", f"folder:{folder}", *metrics[:-2])
    assert "Real clips: 3 of folder" in " ".join(table.stdout.split())


def test_a_call_that_fails_leaves_no_trace(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--name", "mine", "--out", tmp_path / "runs"]
    for wrong in (["-m", "clap_of_thunder"], ["-m", "fvd_bounce"]):
        assert mmbench_here(capsys, "evaluate", folder, *wrong, *out).returncode != 0
    assert not list((tmp_path / "runs").glob("mine-*"))


@pytest.mark.e2e
def test_clips_without_a_prompt_have_no_score_of_text(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-m", "ib_bounce_ta", "--out", tmp_path / "runs", "--format", "json"]
    done = mmbench_here(capsys, "evaluate", folder, *out)
    (row,) = json.loads(done.stdout)
    counts = {name: row["record"][f"n_{name}"] for name in ("expected", "scored", "unscored", "failed", "missing")}
    assert counts == {"expected": 5, "scored": 2, "unscored": 2, "failed": 1, "missing": 0}
    assert row["record"]["unscored"] == {"no prompt": 2}
    (values,) = (tmp_path / "runs").glob("*/scores/ib_bounce_ta*.jsonl")
    last = json.loads(values.read_text().splitlines()[-1])
    assert (last["id"], "failed" in last) == ("clip4.mp4", True)


@pytest.mark.e2e
def test_lossy_clips_compare_with_exact_ones_and_with_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, write, suffix in (("exact", write_lossless, "mkv"), ("lossy", write_preview, "mp4")):
        (tmp_path / name).mkdir()
        for i in range(3):
            write(clip(i, frames=16, size=32, samples=32000), tmp_path / name / f"clip{i}.{suffix}")
    out = ["-m", "fad_bounce", "--out", tmp_path / "runs", "--format", "json"]
    for name, real in (("exact", "lossy"), ("lossy", "lossy")):
        done = mmbench_here(capsys, "evaluate", tmp_path / name, "-d", f"folder:{tmp_path / real}", *out)
        assert done.returncode == 0, done.stderr
    (exact,), (lossy,) = (read_records(next((tmp_path / "runs").glob(f"{name}-*"))) for name in ("exact", "lossy"))
    comparable([exact, lossy])
    assert lossy.value == pytest.approx(0.0, abs=1e-6)
    assert "3 lossy clips" in lossy.fitted
    assert "768 samples (48 ms)" in lossy.fitted
    assert exact.fitted == ""
    assert any(lossy.fitted in note for note in list_caveats([exact, lossy]))


@pytest.mark.e2e
def test_a_clip_that_is_not_scored_costs_one_line_and_no_comparison(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("clip3.mp4", "clip4.mp4"):
        (folder / name).unlink()
    out = ["-m", "fad_bounce", "-d", "bounce", "--name", "mine", "--out", tmp_path / "runs", "--format", "json"]
    before = json.loads(mmbench_here(capsys, "evaluate", folder, *out).stdout)[0]["record"]
    write_lossless(clip(3, frames=16, size=32, samples=0), folder / "mute.mkv")
    after = json.loads(mmbench_here(capsys, "evaluate", folder, *out).stdout)[0]["record"]
    assert (after["n_scored"], after["n_unscored"]) == (3, 1)
    assert after["unscored"] == {"The clip has no audio.": 1}
    assert after["signature"] == before["signature"]
    shown = mmbench_here(capsys, "show", after["run_id"], "--out", tmp_path / "runs")
    assert "The clip has no audio." in " ".join(shown.stdout.split())


def test_a_broken_file_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.mkv", "b.mkv"):
        write_lossless(clip(0, frames=16, size=32, samples=32000), tmp_path / name)
    broken = tmp_path / "b.mkv"
    broken.write_bytes(broken.read_bytes()[:900])
    open_submission(tmp_path, "mine", WHOLE)
    (line,) = caplog.messages
    assert line.startswith(f"{broken} is not scored: is cut off: 900 of ")
    assert line.count("b.mkv") == 1
