"""Options and fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

# Tests run side by side, in processes that start processes: threads inside each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it to what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent
ABSENT = "no reference outputs at"  # how the reasons of tests that are skipped without them begin


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mmbench")
    # pytest has a --fixtures of its own, which keeps its other name, --funcargs; it offers no public way to say so.
    group._arggroup.conflict_handler = "resolve"
    group.addoption(
        "--reference-outputs",
        "--fixtures",
        dest="reference_outputs",
        type=Path,
        help="folder of reference outputs (default: $MMBENCH_FIXTURES, else ../shared/conformance)",
    )


def reference_outputs(config: pytest.Config) -> Path:
    """The folder of reference outputs: as given, from the environment, or beside the repository."""
    beside = REPOSITORY.parent / "shared" / "conformance"
    return config.getoption("reference_outputs") or Path(os.environ.get("MMBENCH_FIXTURES") or beside)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a folder that was asked for and holds nothing: every comparison would be skipped, and the run green."""
    folder = reference_outputs(config)
    asked = config.getoption("reference_outputs") or os.environ.get("MMBENCH_FIXTURES")
    if asked and not next(folder.rglob("config.json"), None):
        raise pytest.UsageError(f"{folder} holds no reference outputs (folders with a config.json).")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was not compared with the official code."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)]
    count = sum(ABSENT in reason for reason in reasons)
    if count:
        where = reference_outputs(terminalreporter.config)
        terminalreporter.write_line(f"{count} skipped: {ABSENT} {where} (--reference-outputs PATH)", yellow=True)


@pytest.fixture(scope="session")
def fixtures_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of reference outputs; skips the test where it is absent."""
    folder = reference_outputs(request.config)
    if not folder.is_dir():
        pytest.skip(f"{ABSENT} {folder}")
    return folder


@pytest.fixture(scope="session")
def clips_folder(fixtures_folder: Path) -> Path:
    """The folder of published sample clips beside the reference outputs; skips where it is absent."""
    folder = fixtures_folder.parent / "clips"
    if not folder.is_dir():
        pytest.skip(f"no published clips at {folder}")
    return folder
