"""The script that made the embedded models runs from nothing, resumes, and leaves weights the systems can load."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mmbench.baselines.models.tiny.networks import FILES, NETWORKS, unpack
from tests.commands import load_script


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = load_script("train_tiny", monkeypatch)
    module.NUM_ITEMS, module.CHUNK = 16, 8
    module.OUT, module.RECORD = tmp_path / "data", tmp_path / "training.json"
    module.COURSES = {name: replace(course, steps=2, batch_size=6) for name, course in module.COURSES.items()}
    monkeypatch.setattr(module.Items, "make", make_here)
    return module


def make_here(items: Any, workers: int) -> None:
    """`Items.make` without processes: they would not see the sizes set above."""
    import sys

    import numpy as np

    script: Any = sys.modules["train_tiny"]
    for path, shape, dtype in ((items.video, (16, 64, 64, 3), np.uint8), (items.mel, (1, 128, 64), np.float16)):
        np.lib.format.open_memmap(path, "w+", dtype, (script.NUM_ITEMS, *shape)).flush()
    np.save(items.words, np.concatenate([items.render(k) for k in range(0, script.NUM_ITEMS, script.CHUNK)]))


@pytest.mark.e2e
def test_every_stage_runs_and_a_second_run_changes_nothing(script: Any, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for _, stage in script.stages(work, 1):
        stage()
    first = {file: (script.OUT / file).read_bytes() for file in FILES}
    for network, file in ((network, file) for file, networks in FILES.items() for network in networks):
        assert unpack(network, script.OUT / file).state_dict().keys() == NETWORKS[network]().state_dict().keys()
    for decoder, codec in script.DECODERS.items():
        before, after = (torch.load(work / f"{name}.pt", weights_only=True)["average"] for name in (codec, decoder))
        changed = {key.split(".")[1] for key in before if not torch.equal(before[key], after[key])}
        assert changed == {"decoder", "post_quant_conv"}, "latents stay what they are"
        packed, key = unpack(codec, script.OUT / "tiny.safetensors").state_dict(), "autoencoder.decoder.conv_out.bias"
        assert torch.equal(packed[key], after[key].half().float())
    plain, guided = (script.average_of(name, work) for name in ("video_together", "video_guided"))
    for part, name in script.PARTS.items():
        alone = script.average_of(name, work)
        changed = {key for key in alone if not torch.equal(alone[key], guided[f"{part}.{key}"])}
        assert changed == alone.keys() - {"words.weight"}, "what discriminators read stays what it is"
        packed, key = unpack(name, script.OUT / "tiny.safetensors").state_dict(), "time_embed.linear_1.bias"
        between = 0.4 * plain[f"{part}.{key}"] + 0.6 * guided[f"{part}.{key}"]
        assert not torch.equal(plain[f"{part}.{key}"], guided[f"{part}.{key}"])
        torch.testing.assert_close(packed[key], between.half().float(), rtol=1e-3, atol=1e-6)
    for name, stage in script.stages(work, 1):
        if name != "items":
            stage()
    assert {file: (script.OUT / file).read_bytes() for file in FILES} == first


def test_training_goes_on_where_it_was_stopped(script: Any, tmp_path: Path) -> None:
    def loss_of(model: torch.nn.Module, step: int) -> dict[str, torch.Tensor]:
        generator = script.draw("audio_model", step)[1]
        return {"loss": sum((p * torch.randn(p.shape, generator=generator)).sum() for p in model.parameters())}  # type: ignore[dict-item]

    course = replace(script.COURSES["audio_model"], steps=4)
    script.COURSES["audio_model"] = course
    states = []
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
        if folder == "parts":
            training = script.Training("audio_model", tmp_path / folder)
            training.course = replace(course, steps=4)

            def stopped(model: torch.nn.Module, step: int, training: Any = training) -> dict[str, torch.Tensor]:
                if step == 2:
                    training.save()
                    raise KeyboardInterrupt
                return loss_of(model, step)

            with pytest.raises(KeyboardInterrupt):
                training.run(stopped)
        training = script.Training("audio_model", tmp_path / folder)
        training.run(loss_of)
        states.append(training.average)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
