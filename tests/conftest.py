"""Options and fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

# Tests run side by side, in processes that start processes: threads inside each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mmbench")
    group._arggroup.conflict_handler = "resolve"  # pytest's own --fixtures keeps its other name, --funcargs
    group.addoption(
        "--fixtures",
        type=Path,
        default=REPOSITORY.parent / "shared" / "conformance",
        help="folder of reference outputs (default: ../shared/conformance)",
    )


@pytest.fixture(scope="session")
def fixtures_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of reference outputs; skips the test where it is absent."""
    folder: Path = request.config.getoption("--fixtures")
    if not folder.is_dir():
        pytest.skip(f"no reference outputs at {folder}")
    return folder


@pytest.fixture(scope="session")
def clips_folder(fixtures_folder: Path) -> Path:
    """The folder of published sample clips beside the reference outputs; skips where it is absent."""
    folder = fixtures_folder.parent / "clips"
    if not folder.is_dir():
        pytest.skip(f"no published clips at {folder}")
    return folder
