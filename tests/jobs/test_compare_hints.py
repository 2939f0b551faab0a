"""What the errors and notes of run, evaluate, compare, table, show and preview say to type works when it is typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mmbench.media.clip_files import write_lossless
from tests.builders import clip
from tests.commands import mmbench_here


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder to stand in, with two folders of two clips, not scored, and two runs of one system."""
    monkeypatch.chdir(tmp_path)
    for k, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        for i in range(2):
            write_lossless(clip(2 * k + i, frames=8, size=16, samples=8000), tmp_path / name / f"{i}.mkv")
    for seed in ("0", "1"):
        done = mmbench_here(capsys, "generate", "-s", "ground_truth", "-n", "2", "--seed", seed)
        assert done.returncode == 0, done.stderr
    return tmp_path


class Typist:
    """Types commands, and what their errors say to type."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def works(self, command: str) -> str:
        """Type a command that has to work; returns what it printed."""
        done = mmbench_here(self.capsys, *shlex.split(command))
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def fails(self, command: str) -> list[str]:
        """Type a command that has to fail; returns the commands that its error gives, without "mmbench"."""
        done = mmbench_here(self.capsys, *shlex.split(command))
        assert done.returncode in (1, 2), (command, done.stdout)
        lines = done.stderr.partition("  try: ")[2].splitlines()
        assert lines, (command, done.stderr)
        assert all(line.strip().startswith("mmbench ") for line in lines), (command, lines)
        return [line.strip().removeprefix("mmbench ") for line in lines]


@pytest.mark.e2e
def test_hints_are_commands_that_work(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    me = Typist(capsys)

    def mended(command: str) -> None:
        for hint in me.fails(command):
            me.works(hint)

    mended("compare one nothing")
    mended("compare one two")
    for command in (
        "compare one two -m av_align -n 9",
        "compare one",
        "compare one two -m fvd_bounce",
        "compare one two --baseline three",
        "compare one two --by category",
        "compare ground_truth-bounce-s0 ground_truth-bounce-s1",
        "compare one ground_truth -m av_align",
        "evaluate one two --name a",
        "evaluate one -m fvd_bounce",
        "evaluate one --by category",
        "table -m nothing",
        "table --by category",
        "table --paper 2 --by prompt --out runs",
        "show nothing",
        "show ground_truth-",
        "preview nothing",
        "preview ground_truth- -n 1",
        "preview ground_truth-bounce-s0 ground_truth-bounce-s1",
        "run -s ground_truth -n 0 --dry-run",
        "run -s tiny --set odd=1",
        "run -s nothing",
        "run -m nothing",
    ):
        mended(command)
    run = next(f.name for f in here.glob("runs/one-none*"))
    mended(f"evaluate {run}")
    me.works("pack runs --out all.jsonl")
    me.works("compare one all.jsonl")
    me.works("table --out runs --out all.jsonl")


@pytest.mark.e2e
def test_hints_keep_the_options_that_were_typed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    me = Typist(capsys)
    hints = me.fails("preview ground_truth --to look -n 1")
    runs = sorted(f.name for f in here.glob("runs/ground_truth-*"))
    assert hints == [f"preview {run} --to look -n 1" for run in runs]
    assert me.fails("run -s ground_truth -n 0 --metric av_align") == [
        "run -s ground_truth --metric av_align --num-samples 64"
    ]
