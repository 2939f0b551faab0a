"""What the errors of evaluate and compare say to type can be typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmbench.media.clip_files import write_lossless
from tests.builders import clip
from tests.commands import mmbench_here


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with two folders of two clips."""
    monkeypatch.chdir(tmp_path)
    for k, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        for i in range(2):
            write_lossless(clip(2 * k + i, frames=8, size=16, samples=8000), tmp_path / name / f"{i}.mkv")
    return tmp_path


@pytest.mark.e2e
def test_hints_are_commands_that_work(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*words: str) -> list[str]:
        done = mmbench_here(capsys, *words)
        assert done.returncode in (1, 2), (words, done.stdout)
        (hint,) = [line.partition("try: mmbench ")[2] for line in done.stderr.splitlines() if "try: mmbench" in line]
        return hint.split()

    def works(words: list[str]) -> None:
        done = mmbench_here(capsys, *words)
        assert done.returncode == 0, (words, done.stderr)

    works(fails("compare", "one", "nothing"))
    works(fails("compare", "one", "two"))
    works(["compare", "one", "two"])
    works(fails("compare", "one", "two", "-m", "ib_bounce_av"))
    works(fails("evaluate", "one", "two", "--name", "a"))
    works(fails("compare", "one", "two", "--baseline", "three"))
    (run,) = (f.name for f in here.glob("runs/one-*"))
    works(fails("evaluate", run))
    works(["pack", "runs", "--out", "all.jsonl"])
    works(["compare", "one", "all.jsonl"])
