"""A damaged checkpoint is never resumed: torch itself does not look at the checksums that it writes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random

import pytest
import torch

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.mmdisco.checkpoint import CHECKPOINT, PREVIOUS, WEIGHTS, load_checkpoint, save_checkpoint, save_weights
from mmbench.mmdisco.design import DiscriminatorConfig, read_config
from mmbench.mmdisco.discriminator import Discriminator, load_discriminator


def state(step: int) -> dict[str, object]:
    return {"step": step, "model": {"w": torch.arange(64.0) + step}, "record": "{}"}


def equals(found: dict[str, object] | None, step: int) -> bool:
    model = found["model"] if found else None
    return isinstance(model, dict) and found["step"] == step and torch.equal(model["w"], torch.arange(64.0) + step)


def test_no_flipped_bit_of_a_checkpoint_is_resumed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, state(step))
    path, rng, silent = tmp_path / CHECKPOINT, Random(0), 0
    whole = path.read_bytes()
    for _ in range(80):
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        caplog.clear()
        found = load_checkpoint(tmp_path)
        silent += not (equals(found, 2) or (equals(found, 1) and "the one before it is resumed" in caplog.text))
    assert silent == 0


def test_without_a_whole_one_it_is_said_what_to_type(tmp_path: Path) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, state(step))
    for name in (CHECKPOINT, PREVIOUS):
        data = bytearray((tmp_path / name).read_bytes())
        data[len(data) // 2 - 100 : len(data) // 2] = bytes(100)
        (tmp_path / name).write_bytes(data[:-200])
    with pytest.raises(IntegrityError, match="No checkpoint in") as caught:
        load_checkpoint(tmp_path)
    subprocess.run(["sh", "-c", caught.value.next.partition(";")[0]], check=True)
    assert load_checkpoint(tmp_path) is None


def test_a_flipped_bit_of_trained_weights_is_refused(tmp_path: Path) -> None:
    config = DiscriminatorConfig("res_mlp", 3, 1, 1, channels=32, channel_mult=(1,), embed_channels=32, num_blocks=1)
    weights = Discriminator(config).state_dict()
    path = save_weights(tmp_path, weights, config)
    assert path.name == WEIGHTS
    found = load_discriminator(path).state_dict()
    assert read_config(path) == config
    assert all(torch.equal(found[name], value) for name, value in weights.items())
    data = bytearray(path.read_bytes())
    data[-33] ^= 16
    path.write_bytes(data)
    with pytest.raises(MMBenchError, match="contradicts its checksum"):
        load_discriminator(path)
