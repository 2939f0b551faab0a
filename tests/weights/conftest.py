"""Fixtures of the weights tests: an empty home, an empty table, and a server on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmbench.weights import checkpoints as weights
from mmbench.weights import locations
from mmbench.weights.weight import Weight
from tests.weights.support import BODY, SHA, Known, Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    with serving(running):
        yield running


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith(("MMBENCH_", "HF_")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    table: dict[str, Weight] = {}
    monkeypatch.setattr(weights, "KNOWN", table)
    monkeypatch.setattr(locations, "KNOWN", table)


@pytest.fixture
def known(server: Server) -> Known:
    """Adds an entry to the table: by default `net`, at the server, with its right size and digest."""

    def add(name: str = "net", **changes: Any) -> Weight:
        given = {"file": f"{name}.bin", "sources": (server.url,), "purpose": "a test", "licence": "MIT"}
        given |= {"sha256": SHA, "bytes": len(BODY), "page": "https://example.org", **changes}
        weights.KNOWN[name] = Weight(name, **given)
        return weights.KNOWN[name]

    return add
