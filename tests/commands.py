"""Running the command line as a user does: in a process of its own, with the fixture distribution installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from mmbench.runs.store import SampleStore
from tests.conftest import REPOSITORY

DISTRIBUTION = Path(__file__).parent / "fixture_distribution"
FIXTURE = ["--system", "fixture_system", "--dataset", "fixture_dataset"]


def environment(**extra: str) -> dict[str, str]:
    """The environment of a user of this checkout who installed the fixture distribution; no launcher variables."""
    env = {
        k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
    }
    return env | {"PYTHONPATH": f"{DISTRIBUTION}{os.pathsep}{REPOSITORY}", "COLUMNS": "200"} | extra


def start(*arguments: str | Path, **extra: str) -> subprocess.Popen[str]:
    """Start `mmbench ...` and return at once."""
    command = [sys.executable, "-m", "mmbench", *map(str, arguments)]
    pipe: Any = subprocess.PIPE
    return subprocess.Popen(command, env=environment(**extra), stdout=pipe, stderr=pipe, text=True)


def mmbench(*arguments: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run `mmbench ...` to its end."""
    process = start(*arguments, **extra)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@cache
def command_line() -> Any:
    """All commands with their options, built once: typer takes a tenth of a second for it at each call of its app."""
    from mmbench.cli.app import app

    return typer.main.get_command(app)


def mmbench_here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `mmbench ...` in this process: a second faster, without the fixture distribution."""
    from mmbench.cli.app import guarded

    before = sys.argv
    sys.argv = ["mmbench", *map(str, arguments)]
    try:
        code = guarded(command_line())
    finally:
        sys.argv = before
    printed = capsys.readouterr()
    return subprocess.CompletedProcess(sys.argv, code, printed.out, printed.err)


def load_script(name: str, monkeypatch: pytest.MonkeyPatch | None = None, folder: str = "scripts") -> Any:
    """A script, run as it stands; dataclasses in it look their module up, which needs `monkeypatch`."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if monkeypatch is not None:
        monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def only_store(out: Path) -> SampleStore:
    """The one run in `out`."""
    (manifest,) = out.glob("*/manifest.json")
    return SampleStore.open(manifest.parent)


def digests(out: Path) -> dict[int, str]:
    """Sample digests of the one run in `out`, after decoding every sample to check it."""
    store = only_store(out)
    for index in store.status().present:
        store.verify(index)
    return {index: store.record(index).digest for index in store.status().present}
