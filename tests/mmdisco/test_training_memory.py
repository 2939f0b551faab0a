"""The predicted memory of trainings: published sizes, micro-batches, checkpointing, and what is said of it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from mmbench.errors import UsageError
from mmbench.experiments.training.memory import GB, MARGIN, RECORD, Measured, announce, free_memory
from mmbench.mmdisco.design import in_domain, out_of_domain
from mmbench.mmdisco.memory import TrainingMemory, predict_training_memory
from mmbench.mmdisco.training_config import TrainConfig

PIXELS = ((3, 16, 64, 64), (1, 25600))
LATENTS = ((4, 16, 32, 32), (8, 50, 16))
TEXTS = ((768,), (512,))
FLOAT32_BASES = 11 * GB  # of the largest latent pair
TINY = in_domain(channels=32, num_blocks=1, channel_mult=(1, 2))

PUBLISHED = {  # the largest ones: design, batch, shapes of latents and texts; GB that a hand count found to be kept
    "table 2": (in_domain(), 16, (PIXELS, ()), 46.3),
    "table 8": (in_domain(channels=256), 16, (PIXELS, ()), 92.7),
    "table 9": (in_domain(num_blocks=4), 16, (PIXELS, ()), 83.3),
    "in-domain res_frieren": (in_domain("res_frieren"), 16, (PIXELS, ()), 75.7),
    "tables 3, 4, 7, 10": (out_of_domain(), 32, (LATENTS, TEXTS), 67.8),
}


@cache
def predicted(name: str, micro_batch: int | None = None, checkpointing: bool = False) -> TrainingMemory:
    design, batch, inputs, _ = PUBLISHED[name]
    config = TrainConfig(design, batch_size=batch, micro_batch=micro_batch, checkpointing=checkpointing)
    return predict_training_memory(config, *inputs)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_trainings_keep_what_was_counted_by_hand(name: str) -> None:
    assert predicted(name).kept / GB == pytest.approx(PUBLISHED[name][3], rel=0.02)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "bases"), [("table 8", GB), ("tables 3, 4, 7, 10", FLOAT32_BASES)])
def test_the_largest_published_trainings_fit_80_gb_in_parts_and_not_whole(name: str, bases: float) -> None:
    assert MARGIN * predicted(name).peak + bases > 80 * GB
    assert MARGIN * predicted(name, 4).peak + bases < 40 * GB


@pytest.mark.thorough
def test_checkpointing_keeps_a_quarter_and_fits_a_whole_published_batch() -> None:
    whole, again = predicted("table 8"), predicted("table 8", checkpointing=True)
    assert again.kept < whole.kept / 4
    assert MARGIN * again.peak < 80 * GB < MARGIN * whole.peak


def of(config: TrainConfig) -> TrainingMemory:
    return predict_training_memory(config, PIXELS)


def test_what_is_kept_grows_with_the_pairs_at_once_and_with_the_terms_of_the_loss() -> None:
    one, two = (of(TrainConfig(TINY, batch_size=n)) for n in (1, 2))
    assert two.kept == pytest.approx(2 * one.kept, rel=0.02)
    assert one.kept < one.step < one.peak
    assert of(TrainConfig(TINY, batch_size=16, micro_batch=2)) == two
    assert of(TrainConfig(TINY, batch_size=2, loss="disc")).kept < two.kept


def linear(config: TrainConfig) -> TrainingMemory:
    """10 bytes of weights, and 20 for each pair at once, or 5."""
    size = min(config.micro_batch or config.batch_size, config.batch_size)
    step = (5 if config.checkpointing else 20) * size
    return TrainingMemory(10, step, step)


@pytest.mark.parametrize(
    ("free", "advice"),
    [
        (None, "at once"),
        (MARGIN * 330.0, "at once"),
        (MARGIN * 329.0, "try: --micro-batch 8, which trains the same"),
        (MARGIN * 30.0, "try: --micro-batch 1, which trains the same"),
        (MARGIN * 29.0, "try: --micro-batch 2 --checkpointing, which trains the same"),
        (1.0, "even --micro-batch 1 --checkpointing takes more: a smaller --channels, or another device"),
    ],
)
def test_a_training_that_does_not_fit_is_told_what_does(
    free: float | None, advice: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    memory, line = announce(TrainConfig(in_domain(), batch_size=16), free, linear)
    assert memory.peak == 330
    assert line.endswith(advice)
    fits = "even" not in line and "try" not in line
    assert (capsys.readouterr().err.strip() == line) is fits, "it is said whatever the verbosity"
    assert ([record.getMessage() for record in caplog.records] == [line]) is not fits


def test_memory_that_torch_holds_and_does_not_use_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 500)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 200)
    assert free_memory("cuda:1") == 400


@pytest.mark.parametrize(("device", "grown"), [("cpu", 30), ("cuda:1", 7)])
def test_the_record_has_the_growth_on_the_device_that_trained(
    device: str, grown: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = iter([{"peak_memory_bytes": 100, "peak_gpu_bytes": 20}, {"peak_memory_bytes": 130, "peak_gpu_bytes": 27}])
    meter: Any = type("Meter", (), {"report": lambda self: next(reports)})
    monkeypatch.setattr("mmbench.experiments.training.memory.Usage", meter)
    with Measured(tmp_path, TrainingMemory(10, 3, 5), device):
        pass
    line = json.loads((tmp_path / RECORD).read_text())
    assert (line["grown_bytes"], line["predicted_bytes"]) == (grown, 15)
    assert line["measured_over_predicted"] == pytest.approx(grown / 15, abs=1e-3)


def test_a_micro_batch_holds_at_least_one_pair() -> None:
    from tests.mmdisco.test_training import CONFIG, run

    with pytest.raises(UsageError, match="micro-batch of 0"):
        run(TrainConfig(CONFIG.discriminator, steps=1, micro_batch=0), None)  # type: ignore[arg-type]
