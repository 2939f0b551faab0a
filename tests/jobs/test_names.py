"""Names that users type: any text is stored and told apart; what no folder or table can bear is refused before work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mmbench.errors import UsageError
from mmbench.jobs.submissions import label_paths
from mmbench.runs.spec import LONGEST_NAME, RunSpec
from tests.builders import clip
from tests.commands import mmbench_here

Capture = pytest.CaptureFixture[str]
NAMES = ["a/b", "a_b", "a b", "a\u2028b", "a\nb", "a\x1b[2Jb", "\udcffb", "<b>", "=1+1", "../../x", "."]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from mmbench.media.clip_files import write_lossless

    (tmp_path / "clips").mkdir()
    write_lossless(clip(), tmp_path / "clips" / "0.mkv")
    return tmp_path / "clips"


def test_any_name_is_stored_as_typed_and_told_apart_from_every_other(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "runs"
    for name in NAMES:
        done = mmbench_here(capsys, "evaluate", folder, "-m", "av_align", "--name", name, "--out", out)
        assert done.returncode == 0, done.stderr
        assert (done.stdout + done.stderr).replace("\n", "").isprintable()
    runs = [json.loads((place / "manifest.json").read_bytes()) for place in out.iterdir() if place.name != "features"]
    assert sorted(run["system"] for run in runs) == sorted(NAMES)
    for format in ("table", "markdown", "latex", "html", "csv", "json"):
        done = mmbench_here(capsys, "table", "--out", out, "--format", format)
        assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert sorted(row["system"] for row in rows) == sorted(NAMES)
    done = mmbench_here(capsys, "list", "runs", "--out", out, "--format", "json")
    assert len(json.loads(done.stdout)) == len(NAMES)


@pytest.mark.parametrize("name", ["ground_truth", "independent", "tiny", "tiny+mmdisco"])
def test_clips_are_not_called_like_a_system(name: str) -> None:
    with pytest.raises(UsageError, match=f"--name {name.replace('+', '.')} is a system's name") as caught:
        label_paths(["clips"], [name])
    assert caught.value.next == f"--name my_{name}"
    assert label_paths(["clips"], [f"my_{name}"]) == [f"my_{name}"]


@pytest.mark.parametrize("letter", ["x", "é", "日"])
def test_a_name_that_no_folder_can_have_is_refused_before_work(
    folder: Path, tmp_path: Path, capsys: Capture, letter: str
) -> None:
    name = letter * 201
    done = mmbench_here(capsys, "evaluate", folder, "-m", "av_align", "--name", name, "--out", tmp_path / "runs")
    assert done.returncode == 2
    assert f"at most {LONGEST_NAME}" in done.stderr
    assert not list((tmp_path / "runs").rglob("manifest.json"))


def test_the_longest_name_makes_a_folder(tmp_path: Path) -> None:
    run = RunSpec("x" * (LONGEST_NAME - 5), "none", (1 << 63) - 1, "real", {})
    (tmp_path / f".{run.run_id}.12345678").mkdir()


def test_names_of_systems_and_datasets_keep_their_ids() -> None:
    assert RunSpec("tiny+mmdisco", "folder:a b", 3, "real", {}).run_id.startswith("tiny+mmdisco-folder_a_b-s3-")


def test_names_that_break_lines_are_scored_and_those_that_are_no_utf8_counted(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    clips = tmp_path / "odd"
    clips.mkdir()
    for name in ("a\udcff\x1b[2Jb.mkv", "u\u2028x.mkv", "n\nl.mkv"):
        (clips / name).write_bytes((folder / "0.mkv").read_bytes())
    (clips / "p.csv").write_text('file,prompt\nu\u2028x.mkv,"a \u2028 =1+1"\n')
    out = tmp_path / "runs"
    for command in (["evaluate", clips, "-m", "av_align"], ["table"], ["show", "odd-"]):
        done = mmbench_here(capsys, *command, "--out", out)
        assert done.returncode == 0, done.stderr
        assert (done.stdout + done.stderr).replace("\n", "").isprintable()
    (run,) = out.glob("odd-*")
    rows = [json.loads(line) for line in next((run / "scores").glob("*.jsonl")).read_text().split("\n") if line]
    assert len(rows) == 3
    done = mmbench_here(capsys, "show", run.name, "--out", out, "--format", "json")
    counts = json.loads(done.stdout)["records"][0]
    assert (counts["n_scored"] + counts["n_unscored"], counts["n_failed"]) == (2, 1)


@pytest.mark.parametrize("path", ["../../etc/passwd", "..\\..\\x", "sub/../../x"])
def test_a_table_of_prompts_names_nothing_outside_its_folder(
    folder: Path, tmp_path: Path, capsys: Capture, path: str
) -> None:
    (folder / "p.csv").write_text(f"file,prompt\n0.mkv,a\n{path},b\n")
    done = mmbench_here(capsys, "evaluate", folder, "-m", "av_align", "--out", tmp_path / "runs")
    assert done.returncode == 2
    assert f"p.csv names {path}, not in" in done.stderr


@pytest.mark.parametrize("kind", ["a pipe", "an endless device", "a huge hole"])
def test_a_table_that_never_ends_is_refused(folder: Path, tmp_path: Path, capsys: Capture, kind: str) -> None:
    table = folder / "p.csv"
    if kind == "a pipe":
        os.mkfifo(table)
    elif kind == "an endless device":
        table.symlink_to("/dev/zero")
    else:
        with table.open("wb") as file:
            file.truncate(6 << 30)
    done = mmbench_here(capsys, "evaluate", folder, "-m", "av_align", "--out", tmp_path / "runs")
    assert done.returncode == 2
    said = {"a pipe": "is a FIFO", "an endless device": "is a device", "a huge hole": "holds more than 256 MiB"}
    assert f"p.csv cannot be read: it {said[kind]}" in done.stderr
