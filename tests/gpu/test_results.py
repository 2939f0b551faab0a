"""The file that keeps what was found on a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.gpu import conftest


def test_results_are_filed_under_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(conftest, "gpu_state", lambda: {"power.draw": "312"})
    path = conftest.write_results(tmp_path, {"test_a[cuda]": {"outcome": "passed", "figures": {"x": 1.5}}})
    assert path.name == "nvidia-h100-80gb-hbm3.json"
    found = json.loads(path.read_text())
    assert found["tests"]["test_a[cuda]"]["figures"] == {"x": 1.5}
    assert {"machine", "packages", "git", "gpu"} < set(found)
