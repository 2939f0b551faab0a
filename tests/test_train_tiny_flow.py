"""The script that continues `tiny` as flows starts from the shipped weights and leaves a file that the system loads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.baselines.models.tiny.networks import unpack
from tests.commands import load_script


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    return load_script(name, monkeypatch)


@pytest.mark.e2e
def test_it_begins_at_the_weights_of_tiny_and_packs_what_it_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("train_tiny", monkeypatch)
    script = load("train_tiny_flow", monkeypatch)
    script.COURSES = {name: replace(c, steps=2, batch_size=3, warmup=1) for name, c in script.COURSES.items()}
    script.NUM_ITEMS = dict.fromkeys(script.NUM_ITEMS, 5)
    packed, record = tmp_path / "tiny_flow.safetensors", tmp_path / "training.json"
    monkeypatch.setattr(script, "RECORD", record)
    for name in script.COURSES:
        script.train_flow(name, tmp_path)
    script.pack_all(tmp_path, packed)
    course = json.loads(record.read_text())
    for name in script.COURSES:
        before, after = (unpack(name, path).state_dict() for path in (SHIPPED / "tiny.safetensors", packed))
        moved = [float((after[k] - before[k]).abs().max()) for k in before]
        assert max(moved) > 1e-5
        assert max(moved) < 0.05  # two steps at most 4e-4 wide, and half a step of int8
        assert course[name]["curve"][-1]["step"] == 2
    assert torch.load(tmp_path / "video_model.pt", weights_only=True)["step"] == 2
