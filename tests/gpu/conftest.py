"""Which device the tests of this folder run on, and the file that keeps what they found on a GPU.

Every test runs twice: on the CPU at tiny size, so that it does not break before the day a GPU is there, and on CUDA at
the published size (marked gpu; skipped without one). `make gpu` runs the latter and writes results/gpu/<device>.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from mmbench.experiments.profiling.gpu import gpu_state
from mmbench.runs.circumstances import git_state, machine, packages
from tests.conftest import REPOSITORY

OUT = REPOSITORY / "results" / "gpu"
FOUND: dict[str, dict[str, Any]] = {}
NO_GPU = "no CUDA device: make gpu on a machine that has one"


@dataclass
class Place:
    """A device, the size of networks that fits it, and the figures that a test notes.

    Attributes:
        device: "cpu" or "cuda".
        size: "tiny" or "full".
        figures: Numbers for the file of results.
    """

    device: str
    size: str
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """Options of published systems at this size."""
        return ["size=tiny"] if self.size == "tiny" else []


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip(NO_GPU)
    found = Place(request.param, "full" if request.param == "cuda" else "tiny")
    yield found
    FOUND.setdefault(request.node.name, {})["figures"] = found.figures


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "tests/gpu/" in report.nodeid and (report.when == "call" or report.outcome != "passed"):
        name = report.nodeid.rpartition("::")[2]
        FOUND.setdefault(name, {}).update(outcome=report.outcome, seconds=round(report.duration, 2))


def pytest_sessionfinish(session: pytest.Session) -> None:
    ran = {name: about for name, about in FOUND.items() if "[cuda" in name and about.get("outcome") != "skipped"}
    if torch.cuda.is_available() and ran:
        write_results(OUT, ran)


def write_results(folder: Path, ran: dict[str, dict[str, Any]]) -> Path:
    """Write what the tests found on this machine's GPU; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    device = re.sub(r"[^A-Za-z0-9]+", "-", torch.cuda.get_device_name()).strip("-").lower()
    about = {"machine": machine(), "packages": packages(), "git": git_state(), "gpu": gpu_state(), "tests": ran}
    path = folder / f"{device}.json"
    path.write_text(json.dumps(about, indent=1, sort_keys=True, default=str) + "\n")
    return path
