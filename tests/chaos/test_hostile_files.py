"""Every hostile checkpoint and archive is refused in one line, in bounded memory, and nothing of it is run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.hostile_archives import CALLS, pickled
from tests.chaos.hostile_files import HostileFile, hostile_files
from tests.chaos.record import note
from tests.commands import environment

FILES = hostile_files("mark")
LARGEST_GROWTH = 300 << 20  # [bytes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def verdicts(folder: Path) -> dict[str, Any]:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, folder / "whole.safetensors")
    command = [sys.executable, "-m", "tests.chaos.judge_hostile_files", str(folder)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{signal.strsignal(-done.returncode) if done.returncode < 0 else ''} {done.stderr}"
    assert not done.stderr
    lines = [json.loads(line) for line in done.stdout.split("\n") if line]
    note("hostile files", files=len({file.file for file in FILES}), reads=len(lines))
    return {line["name"]: line for line in lines}


def test_there_are_a_hundred_and_more() -> None:
    assert len({file.file for file in FILES}) >= 100
    assert len({file.name for file in FILES}) == len(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_is_refused_in_one_line_and_bounded_memory(file: HostileFile, verdicts: dict[str, Any]) -> None:
    verdict = verdicts[file.name]
    assert verdict["ours"], verdict["found"]
    assert file.says in verdict["found"]
    assert file.file in verdict["found"]
    assert verdict["found"].isprintable()
    assert "weights_only" not in json.dumps(verdict)
    assert verdict["expected"]
    assert verdict["grown"] < LARGEST_GROWTH


def test_nothing_was_run_and_nothing_left_its_folder(folder: Path, verdicts: dict[str, Any]) -> None:
    assert len(verdicts) == len(FILES)
    assert not (folder / "mark").exists()
    assert not (folder.parent / "escaped").exists()
    assert {path.name for path in folder.iterdir()} == {"whole.safetensors", *(file.file for file in FILES)}
    used = sum(path.lstat().st_blocks * 512 for path in folder.iterdir())
    assert used < 20 << 20, "hostile files are to be small on disk"


def test_the_calls_would_leave_a_mark_where_pickles_are_trusted(tmp_path: Path) -> None:
    import pickle

    assert "os.mkdir" in CALLS
    pickle.loads(pickled("os.mkdir", os.fspath(tmp_path / "mark")))
    assert (tmp_path / "mark").is_dir()
