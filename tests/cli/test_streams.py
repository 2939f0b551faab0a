"""Edges of a command: closed, full and narrow streams, Ctrl-C, numbers that cannot be; never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmbench.cli.app import guarded
from mmbench.cli.streams import CLOSED
from tests.commands import environment, mmbench_here

LIST = [sys.executable, "-m", "mmbench", "list", "metrics"]
Capture = pytest.CaptureFixture[str]


def shell(script: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a script of bash in which "$@" is `mmbench list metrics`."""
    command = ["bash", "-c", script, "bash", *LIST]
    return subprocess.run(
        command, env=environment(**extra), capture_output=True, text=True, timeout=120, check=False, encoding="latin-1"
    )


def test_a_reader_that_has_seen_enough_ends_it_by_convention() -> None:
    done = shell('{ sleep 0.1; "$@"; echo $? >&2; } | true')
    assert done.stderr == f"{CLOSED}\n"


def test_a_full_disk_for_stdout_is_told() -> None:
    done = shell('"$@" > /dev/full')
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_streams_swallow_what_is_printed() -> None:
    assert shell('"$@" >&- 2>&-').returncode == 0
    assert shell('"$@" <&- >&-; test $? = 0 && "$@" 2>&- >/dev/null').stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters_shows_escapes(encoding: str) -> None:
    done = shell('"$@" && "$@" --format json', PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "av_align" in done.stdout
    begin = done.stdout.index("[\n")
    assert {"name", "summary"} <= set(json.loads(done.stdout[begin:])[0])


def test_ctrl_c_within_a_file_that_torch_writes_is_ctrl_c(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def write() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    assert guarded(write) == 3
    assert capsys.readouterr().err == "interrupted; the same command continues\n"


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.3])
def test_ctrl_c_at_any_moment_twice_is_clean(moment: float) -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import runpy, sys;"
    code += "print('on', flush=True); sys.argv = ['mmbench', 'run', '-n', '1', '--out', '/nonexistent'];"
    code += "runpy.run_module('mmbench', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.15 + moment)  # by then the command is being imported
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    assert process.returncode == 3
    assert err.count("interrupted") == 1


def test_errors_of_the_system_and_of_memory_are_told(capsys: Capture) -> None:
    def no_permission() -> None:
        raise PermissionError(13, "Permission denied", "/there/x")

    def no_memory() -> None:
        raise MemoryError

    def no_reader() -> None:
        raise BrokenPipeError

    assert [guarded(does) for does in (no_permission, no_memory, no_reader)] == [1, 1, CLOSED]
    said = capsys.readouterr().err
    assert "error: /there/x: Permission denied." in said
    assert "error: There is not enough memory." in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--seed", "-1"],
        ["generate", "--seed", "-1"],
        ["evaluate", "clips", "--seed", "-1"],
        ["prompts", "--seed", "-1"],
        ["run", "-n", "0"],
        ["run", "-n", "-3"],
        ["evaluate", "clips", "-n", "-3"],
        ["evaluate", "clips", "-n", "0"],
        ["prompts", "-n", "0"],
        ["stats", "export", "bounce", "x.safetensors", "-n", "0"],
        ["train", "-s", "tiny", "-d", "bounce", "--channels", "8"],
        ["train", "-s", "tiny", "-d", "bounce", "--seed", "-1"],
        ["train", "-s", "tiny", "-d", "bounce", "--blocks", "0"],
        ["generate", "-s", "tiny+mmdisco", "--set", "discriminator=5"],
        ["generate", "-s", "tiny+mmdisco", "--set", "discriminator=[1,2]"],
    ],
    ids=" ".join,
)
def test_a_number_that_cannot_be_is_refused_before_work(
    arguments: list[str], capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mmbench_here(capsys, *arguments)
    assert done.returncode == 2, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_home_that_is_nowhere_is_told(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "MMBENCH_HOME", "~nobody_at_all")
    done = mmbench_here(capsys, "weights", "list")
    assert done.returncode == 2
    assert "There is no home folder" in done.stderr
