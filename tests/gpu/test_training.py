"""Training on a device: precision inside the step, kill and resume, and profiles of every pair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mmbench.experiments.profiling.columns import DTYPES, columns_of_rounds
from mmbench.experiments.profiling.profile import (
    make_batch,
    make_profiled_system,
    profiled_dataset,
    time_system,
)
from mmbench.experiments.profiling.stopwatch import Stopwatch
from mmbench.mmdisco import trainer
from mmbench.mmdisco.training import train
from mmbench.networks.devices import precision_switches
from tests.gpu.conftest import Place
from tests.mmdisco.test_training import CONFIG, FAKE, REAL, Bases, assert_equal, weights
from tests.mmdisco.test_training_step import Spy

BASES = Bases(lambda x, t, c: 0.5 * x, lambda y, t, c: 0.5 * y)  # on whatever device, without randomness of their own


def test_what_is_float32_in_training_is_ieee(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spies: list[Spy] = []
    monkeypatch.setattr(trainer, "Discriminator", lambda config: spies.append(Spy(config)) or spies[-1])
    train(replace(CONFIG, steps=1, ema_decay=0.0), BASES, REAL, FAKE, tmp_path, device=place.device)
    place.figures["outside"] = {name: switch.fp32_precision for name, switch in precision_switches().items()}
    assert set(spies[0].seen) == {"ieee"}
    assert next(spies[0].parameters()).device.type == place.device


@pytest.mark.e2e
def test_twenty_steps_in_bfloat16_go_on_where_they_were_stopped(place: Place, tmp_path: Path) -> None:
    config = replace(CONFIG, precision="bfloat16", steps=20, checkpoint_every=10)
    common: dict[str, Any] = {"device": place.device}
    whole = train(config, BASES, REAL, FAKE, tmp_path / "whole", **common)
    train(replace(config, steps=10), BASES, REAL, FAKE, tmp_path / "parts", **common)
    parts = train(config, BASES, REAL, FAKE, tmp_path / "parts", **common)
    assert parts.resumed_at == 10
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    place.figures["losses"] = whole.losses[-1]


@pytest.mark.e2e
@pytest.mark.parametrize("what", ["inference", "training"])
@pytest.mark.parametrize("name", ["mm_diffusion", "audioldm_animatediff", "auffusion_vc2"])
def test_every_pair_is_profiled(name: str, what: str, place: Place) -> None:
    if place.device == "cpu" and (name, what) != ("auffusion_vc2", "training"):
        pytest.skip("tests/experiments/test_profile.py runs it on the CPU")
    dataset = profiled_dataset(name, None)
    options = [*place.options, "num_inference_steps=10"]  # seconds grow with it and ratios do not
    dtype = DTYPES.get(name, "float32") if place.device == "cuda" else "float32"
    common = {"device": place.device, "weights": "random", "dtype": dtype}
    system = make_profiled_system(name, "res_mlp", dataset, options, **common)
    watch = Stopwatch()
    setting = {"warm_up": 1.0 if place.device == "cuda" else 0.0, "checkpointed": int(name == "auffusion_vc2")}
    batch = make_batch(dataset, 8 if place.device == "cuda" else 1)
    record = time_system(what, system, batch, 3 if place.device == "cuda" else 1, watch, "all", setting)
    place.figures |= {"dtype": dtype, "seconds": columns_of_rounds(record), "memory": watch.memory}
    place.figures["out of memory"] = watch.out_of_memory
    assert watch.seconds
    del system
    if place.device == "cuda":
        torch.cuda.empty_cache()
