"""Names that users type: any text is stored and told apart; what no folder or table can bear is refused before work."""

from __future__ import annotations

import json
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
