"""Runs are found by folder, by id, and by a beginning of it that fits one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmbench.errors import UsageError
from mmbench.runs.find import find_run, run_folders


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Three runs, one whose id begins another's, and a folder that is none."""
    for name in ("tiny-bounce-s0-1", "tiny-bounce-s0-12", "pair-bounce-s0-3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    (tmp_path / "features").mkdir()
    return tmp_path


def test_runs_are_folders_with_a_manifest(out: Path) -> None:
    names = [folder.name for folder in run_folders(out)]
    assert names == ["pair-bounce-s0-3", "tiny-bounce-s0-1", "tiny-bounce-s0-12"]
    assert run_folders(out / "nowhere") == []


def test_a_path_an_id_and_a_beginning_find_their_run(out: Path) -> None:
    assert find_run(str(out / "pair-bounce-s0-3"), Path("nowhere")) == out / "pair-bounce-s0-3"
    assert find_run("tiny-bounce-s0-1", out) == out / "tiny-bounce-s0-1", "a whole id is no beginning of another"
    assert find_run("tiny-bounce-s0-12", out) == out / "tiny-bounce-s0-12"
    assert find_run("pair", out) == out / "pair-bounce-s0-3"
    assert find_run("features", out) is None
    assert find_run("elsewhere", out) is None


def test_a_beginning_of_several_names_them(out: Path) -> None:
    with pytest.raises(UsageError, match=r"'tiny' could be 2 runs") as caught:
        find_run("tiny", out, ["mmbench", "preview", "tiny", "pair", "--num", "4"])
    assert [line.strip() for line in caught.value.next.split("\n")] == [
        "mmbench preview tiny-bounce-s0-1 pair --num 4",
        "mmbench preview tiny-bounce-s0-12 pair --num 4",
    ]
