"""A user with a finished run, made by the revision that is attacked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.first_attack.attacked import RUN, User, copy_samples

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of it is slow: `make thorough` runs it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with `runs`: four samples of `tiny`, scored by three metrics."""
    folder = tmp_path_factory.mktemp("attacked")
    User(folder).made(*RUN, "-m", "av_align", "-m", "ib_bounce_ta", "-m", "fvd_bounce")
    return folder


@pytest.fixture
def user(tmp_path: Path) -> User:
    """Somebody in an empty folder."""
    return User(tmp_path)


@pytest.fixture
def run(template: Path, user: User) -> Path:
    """The finished run, below the user's `runs`."""
    shutil.copytree(template / "runs", user.folder / "runs")
    (manifest,) = (user.folder / "runs").glob("tiny-*/manifest.json")
    return manifest.parent


@pytest.fixture
def clips(run: Path, user: User) -> Path:
    """Four clips in a folder of the user's, without the run."""
    folder = copy_samples(run, user.folder / "clips")
    shutil.rmtree(user.folder / "runs")
    return folder
