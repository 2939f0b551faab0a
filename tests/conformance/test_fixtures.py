"""Every fixture folder under --fixtures is one test with the folder's name as its id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.harness import Fixture, load_runners, recipe_tensor


def _folders(root: Path) -> list[Path]:
    return sorted(p.parent for p in root.rglob("config.json")) if root.is_dir() else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "folder" in metafunc.fixturenames:
        root: Path = metafunc.config.getoption("--fixtures")
        folders = _folders(root)
        absent = pytest.param(None, marks=pytest.mark.skip(reason=f"no reference outputs at {root}"), id="absent")
        metafunc.parametrize("folder", [pytest.param(f, id=f.name) for f in folders] or [absent])


def test_fixture(folder: Path) -> None:
    fixture = Fixture(folder)
    run = load_runners().get(fixture.config["runner"])
    if run is None:
        pytest.skip(f"{fixture.config['runner']} is not implemented here yet")
    run(fixture)
    assert fixture.checked, "the runner compared nothing"


def test_weight_recipe(fixtures_folder: Path) -> None:
    file = fixtures_folder / "recipe_check.json"
    if not file.exists():
        pytest.skip("no recipe self-test in this set")
    for check in json.loads(file.read_text())["checks"]:
        values = recipe_tensor(check["seed"], check["key"], check["shape"], check["kind"], check["exp"])
        assert values.ravel()[:5].tolist() == check["first_values"]
