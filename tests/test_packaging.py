"""What is installed is all there: wheel, sdist, editable and plain install work outside the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import save
from mmbench.types import Score
from tests.builders import record
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.e2e

LINKS = {"baselines": "mmbench/baselines", "metrics": "mmbench/metrics"}  # folders at the top that mmbench/ links to
NEW = {  # a new folder with code and data needs no line in pyproject.toml
    "mmbench/new_room/__init__.py": "",
    "baselines/models/new_family/__init__.py": "",
    "baselines/models/new_family/network.py": "LAYERS = 3\n",
    "metrics/new_room/__init__.py": "",
    "metrics/new_room/data/table.csv": "a,b\n",
}
SPAWN = """
import multiprocessing
import numpy as np
from mmbench.metrics.arithmetic.event_matching import sony_pr
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.apply(sony_pr, (np.array([0.5]), np.array([0.5]), 8.0)))
"""


def run(*command: str | Path, cwd: Path, path: Path | None = None, timeout: float = 300) -> Any:
    """Run a command that must work; `path` is its PYTHONPATH, and nothing of the checkout's environment is."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def pip(*arguments: str | Path, **where: Any) -> None:
    run(sys.executable, "-m", "pip", "-q", *arguments, **where)


@dataclass(frozen=True)
class Built:
    """A copy of the checkout with a few folders more, what was built of it, and the tools to build with."""

    source: Path
    tools: Path
    wheels: dict[str, Path]
    tracked: frozenset[str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build wheel, sdist, and the sdist's wheel."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("only a git checkout knows which files belong to it")
    place = tmp_path_factory.mktemp("packaging")
    tools, source = place / "tools", place / "source"
    try:
        pip("install", "--target", tools, "setuptools>=77", cwd=place)
    except AssertionError as error:
        pytest.skip(f"pip cannot get setuptools here: {str(error)[-200:]}")
    names = run("git", "ls-files", "-z", cwd=REPOSITORY).stdout.split("\0")
    tracked = {name for name in names if name and not name.startswith(("tests/", "results/", "docs/"))}
    for name in sorted(tracked):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, source / name, follow_symlinks=False)
    for name, text in NEW.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    sdist = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", sdist, place, cwd=source, path=tools)
    (archive,) = place.glob("*.tar.gz")
    wheels = {}
    for way, what in (("wheel", source), ("wheel of the sdist", archive)):
        pip("wheel", "--no-deps", "--no-build-isolation", "-w", place / way, what, cwd=place, path=tools)
        (wheels[way],) = (place / way).glob("*.whl")
    return Built(source, tools, wheels, frozenset(tracked | set(NEW)))


def packaged(tracked: frozenset[str]) -> set[str]:
    """Where code and data of the checkout belong in an installed package."""
    found = set()
    for name in tracked:
        top, _, rest = name.partition("/")
        inside = f"{LINKS[top]}/{rest}" if top in LINKS else name
        code = inside.endswith((".py", "/py.typed")) or Path(inside).parent.name == "data"
        if inside.startswith("mmbench/") and code:
            found.add(inside)
    return found


@pytest.mark.parametrize("way", ["wheel", "wheel of the sdist"])
def test_code_and_data_are_all_in_the_wheel_and_nothing_else_is(built: Built, way: str) -> None:
    files = {name for name in zipfile.ZipFile(built.wheels[way]).namelist() if ".dist-info/" not in name}
    want = packaged(built.tracked)
    assert {"mmbench/metrics/new_room/data/table.csv", "mmbench/baselines/models/new_family/network.py"} <= want
    assert sorted(files - want) == []
    assert sorted(want - files) == []


THOROUGH = [pytest.param(way, marks=pytest.mark.thorough) for way in ("editable", "wheel of the sdist", "plain")]


@pytest.fixture(scope="module", params=["wheel", *THOROUGH])
def python(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment where mmbench was installed in one way; what it depends on is ours."""
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place)
    python = place / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).stdout.strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files are not followed
    what = {"plain": [built.source], "editable": ["-e", built.source]}.get(request.param) or [
        built.wheels[request.param]
    ]
    options = ["--python", python, "install", "--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed"]
    pip(*options, *what, cwd=place, path=built.tools)
    where = Path(run(python, "-c", "import mmbench; print(mmbench.__file__)", cwd=place).stdout.strip())
    assert where.is_relative_to(built.source if request.param == "editable" else site)
    return python


def test_it_works_where_no_checkout_is(python: Path, tmp_path: Path) -> None:
    def mmbench(*arguments: str | Path) -> str:
        return str(run(python.parent / "mmbench", *arguments, cwd=tmp_path).stdout)

    assert "mmbench run" in mmbench("--help")
    listed = {row["name"]: row for row in json.loads(mmbench("list", "systems", "--format", "json"))}
    assert listed["tiny"]["from"] == "mmbench.baselines.tiny"
    assert {"fvd", "av_align"} <= set(mmbench("list", "metrics", "--format", "quiet").split())
    planned = json.loads(mmbench("run", "--dry-run", "-s", "tiny", "--format", "json"))
    assert planned[0]["to make"] == 64, "its weights are in the package"
    assert mmbench("generate", "-s", "ground_truth", "-n", "1", "--format", "quiet").startswith("ground_truth-bounce")
    out = tmp_path / "runs"
    made = RunSpec("mm_diffusion", "landscape_ind", 0, "real", {"steps": 1})
    about = {"run_id": made.run_id, "system": made.system, "dataset": made.dataset, "metric": "fad.vggish"}
    save(create_run_folder(out, made), record(**about), Score(0.5, 0.1, 8), [None] * 8)
    row = json.loads(mmbench("table", "--paper", "2", "--out", out, "--format", "json"))[0]
    assert (row["system"], row["paper fad"], row["numbers"]["fad.vggish"]["value"]) == ("mm_diffusion", 5.78, 0.5)


def test_expected_scores_and_workers_are_there(python: Path, tmp_path: Path) -> None:
    expected = "from mmbench.checks.expectation import *; print(*read_expectation(default_file('bounce')).systems)"
    assert "tiny+mmdisco" in run(python, "-c", expected, cwd=tmp_path).stdout.split()
    assert float(run(python, "-c", SPAWN, cwd=tmp_path).stdout) == 1.0
