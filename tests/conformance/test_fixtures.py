"""Every folder of reference outputs is one test with the folder's name as its id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.harness import Fixture, load_runners, recipe_tensor
from tests.conftest import ABSENT, reference_outputs

# Seconds each: whole clips, or networks at their full size.
SLOW = {
    "av_align_clips",
    "av_align_windows_8fps",
    "difffoley_cavp_full",
    "end_to_end_fvd_fad",
    "i3d_logits",
    "mmdiffusion_unet_official_topology",
    "panns_cnn14_16k",
    "synchformer_full",
    "vc2_unet_official_topology",
    "vggish_logmel_embeddings",
}


SLOWEST = {"end_to_end_fvd_fad", "synchformer_full"}  # half a minute and more; other folders hold their parts


def _folders(root: Path) -> list[Path]:
    return sorted(p.parent for p in root.rglob("config.json")) if root.is_dir() else []


def _parameter(folder: Path) -> Any:
    marks = [pytest.mark.e2e] if folder.name in SLOW else []
    marks += [pytest.mark.thorough] if folder.name in SLOWEST else []
    return pytest.param(folder, id=folder.name, marks=marks)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "folder" in metafunc.fixturenames:
        root = reference_outputs(metafunc.config)
        folders = _folders(root)
        absent = pytest.param(None, marks=pytest.mark.skip(reason=f"{ABSENT} {root}"), id="absent")
        metafunc.parametrize("folder", [_parameter(f) for f in folders] or [absent])


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
