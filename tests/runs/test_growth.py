"""What a run asks of the disk grows with its samples alone: folders are listed, and records read, no more often."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mmbench.runs import store as module
from mmbench.runs.generate import generate
from mmbench.runs.packs import PACKS
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """The first arguments of calls of a function."""
    calls, plain = list[Any](), getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *given, **others: [calls.append(given[:1]), plain(*given, **others)][1])
    return calls


@pytest.mark.parametrize("again", [False, True], ids=["new", "finished"])
def test_twice_the_samples_list_folders_as_often_and_read_twice_the_records(
    again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for num in (8, 16):
        requests = make_requests(FixtureDataset(), num, 0)
        store = SampleStore.create(tmp_path / f"{num}", RunSpec("s", "d", 0, "none", {}))
        if again:
            generate(store, FixtureSystem(), requests)
        with monkeypatch.context() as patch:
            listed = [counted(patch, os, name) for name in ("listdir", "scandir")]
            read = counted(patch, module, "read_stored_json")
            generate(store, FixtureSystem(), requests)
            folders = [str(given[0]) for calls in listed for given in calls if given]
            asked.append((sum(not folder.endswith(PACKS) for folder in folders), len(read)))
    assert asked[0][0] == asked[1][0] > 0
    assert [count for _, count in asked] == ([8, 16] if again else [0, 0])
