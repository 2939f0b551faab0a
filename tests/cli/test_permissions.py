"""What a user may not read or write: a message that names it, never a traceback, and the rest is still shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmbench.media.clip_files import write_lossless
from tests.builders import clip
from tests.commands import environment

SETPRIV = shutil.which("setpriv")
AS_ROOT = os.geteuid() == 0
pytestmark = pytest.mark.skipif(AS_ROOT and SETPRIV is None, reason="root may read all, and setpriv is not here")
PROGRAM = """
import io, json, sys
import typer
from contextlib import redirect_stderr, redirect_stdout
from mmbench.cli.app import app, guarded
from mmbench.tables.runs import _warn_once
command = typer.main.get_command(app)  # built once: it takes a tenth of a second
for line in sys.stdin:
    sys.argv = ["mmbench", *json.loads(line)]
    _warn_once.cache_clear()  # a user has a process for each command
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = guarded(command)
        except BaseException as error:
            code = repr(error)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class User:
    """A process that runs commands without the right of root to read and write all."""

    def __init__(self) -> None:
        dropped = [str(SETPRIV), "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]
        command = [*(dropped if AS_ROOT else []), sys.executable, "-c", PROGRAM]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str | Path) -> tuple[int | str, str, str]:
        """Exit code, stdout and stderr of `mmbench` with these words."""

        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
        self.process.stdin.flush()
        code, out, err = json.loads(self.process.stdout.readline())
        return code, out, err


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """A path with other permissions for a while."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    user = User()
    yield user
    user.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, user: User) -> Path:
    """A folder with clips, their table, a run with its cache, and the records of clips."""
    folder = tmp_path_factory.mktemp("permissions")
    clips = folder / "clips"
    clips.mkdir()
    write_lossless(clip(0), clips / "0.mkv")
    write_lossless(clip(1), clips / "1.mkv")
    (clips / "p.csv").write_text("file,prompt\n0.mkv,a\n1.mkv,b\n")
    made = user.run("run", "-s", "ground_truth", "-n", "2", "-m", "av_align", "--out", folder / "runs")
    assert made[0] == 0, made[2]
    scored = user.run("evaluate", clips, "-m", "av_align", "--name", "theirs", "--out", folder / "runs")
    assert scored[0] == 0, scored[2]
    return folder


PATHS = (
    *("clips", "clips/0.mkv", "clips/p.csv", "runs", "runs/features"),
    *("RUN", "RUN/manifest.json", "RUN/records.jsonl", "RUN/invocations.jsonl", "RUN/resources.jsonl", "RUN/scores"),
    *("RUN/samples", "RUN/samples/000000.mkv", "RUN/samples/000000.json", "RUN/leases"),
)
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "-s", "ground_truth", "-n", "3", "-m", "av_align"),
    "evaluate": ("evaluate", "CLIPS", "-m", "av_align", "--name", "others"),
    "again": ("evaluate", "RUN", "-m", "av_align"),
    "show": ("show", "RUN", "--verify"),
    "table": ("table",),
    "list": ("list", "runs"),
}


@pytest.mark.parametrize("bits", [0o000, pytest.param(0o444, marks=pytest.mark.thorough), 0o555], ids=oct)
@pytest.mark.parametrize("path", PATHS)
def test_a_path_without_permission_is_a_message(place: Path, user: User, path: str, bits: int) -> None:
    (run,) = place.glob("runs/ground_truth-*")
    target = run / path.removeprefix("RUN").strip("/") if path.startswith("RUN") else place / path
    for words in COMMANDS.values():
        named = {"CLIPS": str(place / "clips"), "RUN": str(run)}
        with mode(target, bits):
            code, out, err = user.run(*(named.get(word, word) for word in words), "--out", place / "runs")
        assert isinstance(code, int), f"{words}: {code}"
        assert "Traceback" not in err
        assert code == 0 or "error: " in err.lower() or "Error: " in err, (words, out, err)
        assert code in (0, 1, 2, 3, 4)


@pytest.mark.parametrize("path", ["", "manifest.json", "records.jsonl"])
def test_one_unreadable_run_is_told_and_the_others_are_shown(place: Path, user: User, path: str) -> None:
    (run,) = place.glob("runs/ground_truth-*")
    with mode(run / path, 0):
        listed = user.run("list", "runs", "--out", place / "runs")
        table = user.run("table", "--out", place / "runs", "--dataset", "none")
    assert listed[0] == table[0] == 0
    assert f"{run.name}" in listed[1]
    assert re.search("(damaged|unreadable): .*Permission denied", listed[1])
    assert "theirs-none" in listed[1]
    assert "theirs" in table[1]
    assert f"Not shown, for it is damaged: {run.name}. " in table[2]
    assert "Permission denied" in table[2]
