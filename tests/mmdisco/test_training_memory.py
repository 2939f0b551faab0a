"""The predicted memory of trainings: published sizes, micro-batches, and a real step."""

from __future__ import annotations

from typing import Any

import pytest

from mmbench.errors import UsageError
from mmbench.experiments.training.memory import announce
from mmbench.mmdisco.design import DiscriminatorConfig, in_domain, out_of_domain
from mmbench.mmdisco.memory import TrainingMemory, predict_training_memory
from mmbench.mmdisco.training_config import TrainConfig

PIXELS = ((3, 16, 64, 64), (1, 25600))
LATENTS = ((4, 16, 32, 32), (8, 50, 16))
TEXTS = ((768,), (512,))
GB = 1e9


@pytest.mark.parametrize(
    ("design", "kept"),
    [
        (in_domain(), 46.3),
        (in_domain(channels=256), 92.7),
        (in_domain(num_blocks=4), 83.3),
        (in_domain("res_frieren"), 75.7),
    ],
)
def test_in_domain_trainings_keep_what_was_counted_by_hand(design: DiscriminatorConfig, kept: float) -> None:
    assert predict_training_memory(TrainConfig(design, batch_size=16), PIXELS).kept / GB == pytest.approx(
        kept, rel=0.01
    )


def test_the_published_out_of_domain_training_keeps_what_was_counted_by_hand() -> None:
    config = TrainConfig(out_of_domain(), batch_size=32)
    assert predict_training_memory(config, LATENTS, TEXTS).kept / GB == pytest.approx(67.8, rel=0.02)


@pytest.mark.parametrize(
    ("design", "batch", "inputs"),
    [
        (in_domain(channels=256), 16, (PIXELS, ())),
        (in_domain(num_blocks=4), 16, (PIXELS, ())),
        (in_domain("res_frieren"), 16, (PIXELS, ())),
        (out_of_domain("res_frieren"), 32, (LATENTS, TEXTS)),
    ],
)
def test_with_micro_batches_every_published_training_fits_the_published_gpu(
    design: DiscriminatorConfig, batch: int, inputs: Any
) -> None:
    whole, part = (
        predict_training_memory(TrainConfig(design, batch_size=batch, micro_batch=size), *inputs) for size in (None, 4)
    )
    assert whole.peak > 80 * GB > 2 * part.peak


def test_what_is_kept_grows_with_the_pairs_at_once_and_with_the_terms_of_the_loss() -> None:
    def kept(**settings: Any) -> int:
        return predict_training_memory(TrainConfig(in_domain(channels=32), **settings), PIXELS).kept

    assert kept(batch_size=4) == pytest.approx(4 * kept(batch_size=1), rel=0.02)
    assert kept(batch_size=16, micro_batch=2) == kept(batch_size=2)
    assert kept(batch_size=2, loss="disc") < kept(batch_size=2)


def test_a_training_that_does_not_fit_is_told_the_largest_micro_batch_that_does() -> None:
    memory = TrainingMemory(weights=10, kept=160)  # 16 pairs: 250 bytes at most
    config = TrainConfig(in_domain(), batch_size=16)
    assert "try" not in announce(config, memory, None)
    assert "try" not in announce(config, memory, 250.0)
    assert announce(config, memory, 100.0).endswith("try: --micro-batch 6, which trains the same")
    assert announce(config, memory, 1.0).endswith("try: --micro-batch 1, which trains the same")


def test_a_micro_batch_holds_at_least_one_pair() -> None:
    from tests.mmdisco.test_training import CONFIG, run

    with pytest.raises(UsageError, match="micro-batch of 0"):
        run(TrainConfig(CONFIG.discriminator, steps=1, micro_batch=0), None)  # type: ignore[arg-type]
