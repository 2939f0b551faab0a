"""Stored predictions of the base models: the training that they give, its draws, and that it asks no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.batches import Batches
from mmbench.mmdisco.losses import Noised
from mmbench.mmdisco.noising import Batch, Noising
from mmbench.mmdisco.pairing import PAIRINGS, Pairing
from mmbench.mmdisco.pairs import Example
from mmbench.mmdisco.stored import StoredDraws, predict_noise
from mmbench.mmdisco.training import TrainResult, train
from tests.mmdisco.test_training import CONFIG, DISCRIMINATOR, EMPTY, FAKE, REAL, SCHEDULE, Bases, assert_equal, weights

DRAWS, SEED = 3, 11
ALPHAS = SCHEDULE.alphas_cumprod, SCHEDULE.alphas_cumprod


def quiet(x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
    """A base model that hears its text and its time."""
    told = 0.01 * text.mean(1) + 0.001 * t
    return 0.5 * x_t + told.reshape(-1, *[1] * (x_t.ndim - 1))


def never(*_: Any) -> Tensor:
    raise AssertionError("what is stored was asked for")


def draws_of(pairing: Pairing = "index", text_drop: float = CONFIG.text_drop) -> StoredDraws:
    predictions: list[Example] = []
    stored = StoredDraws(REAL, Noising(100, text_drop, EMPTY, pairing), SEED, DRAWS, predictions)
    for place in range(DRAWS * len(REAL)):
        video, audio = predict_noise(Bases(quiet, quiet).epsilon, stored.batch([place]), ALPHAS)
        predictions.append((video[0], audio[0], None, None))
    return stored


@pytest.fixture
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What is stored is forgotten, so that the base models are asked in every step, of the same draws."""
    whole = Batch.on

    def without(self: Batch, device: torch.device) -> Noised:
        return replace(whole(self, device), predicted=None)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "on", without)
        yield patch


def run(config: Any, out: Path, pair: Bases, stored: StoredDraws) -> TrainResult:
    return train(config, pair, REAL, FAKE, out, stored=stored)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_a_training_on_what_is_stored_is_the_one_that_asks_the_base_models(
    pairing: Pairing, tmp_path: Path, asked_anew: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, discriminator=replace(DISCRIMINATOR, pairing=pairing))
    asked = run(config, tmp_path / "asked", Bases(quiet, quiet), draws_of(pairing))
    asked_anew.undo()
    stored = run(config, tmp_path / "stored", Bases(never, never), draws_of(pairing))
    assert stored.losses == asked.losses
    for kind in ("model", "average"):
        assert_equal(weights(tmp_path / "stored", kind), weights(tmp_path / "asked", kind))


def test_micro_batches_and_a_stop_change_nothing(tmp_path: Path) -> None:
    bases, stored = Bases(never, never), draws_of()
    whole = run(CONFIG, tmp_path / "whole", bases, stored)
    run(replace(CONFIG, steps=3), tmp_path / "parts", bases, stored)
    torch.randn(7)  # the global generators are elsewhere now
    resumed = run(CONFIG, tmp_path / "parts", bases, stored)
    assert (resumed.resumed_at, resumed.losses) == (3, whole.losses)
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    small = run(replace(CONFIG, micro_batch=3), tmp_path / "small", bases, stored)
    for a, b in zip(small.losses, whole.losses, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_steps_take_all_draws_by_seed_step_and_place_whoever_asks() -> None:
    stored = draws_of("independent")
    whole = Batches(REAL, FAKE, 0, 4, stored.noising, stored=stored)
    taken = Counter[bytes]()
    for step in range(60):
        real, fake = whole[step]
        halves = [Batches(REAL, FAKE, 0, 2, stored.noising, rank, 2, stored)[step][0] for rank in range(2)]
        for k in range(2):
            assert torch.equal(real.noise[k], torch.cat([half.noise[k] for half in halves]))
            assert torch.equal(real.t[k], fake.t[k])
        taken.update(noise.numpy().tobytes() for noise in real.noise[0])
    assert len(taken) == DRAWS * len(REAL), "every draw of every pair comes"
    other = Batches(REAL, FAKE, 1, 4, stored.noising, stored=stored)[0][0]
    assert {noise.numpy().tobytes() for noise in other.noise[0]} <= set(taken), "other seeds take the same draws"


def test_a_dropped_text_is_part_of_a_draw() -> None:
    stored = draws_of(text_drop=0.5)
    batches = Batches(REAL, FAKE, 0, 4, stored.noising, stored=stored)
    dropped = Counter[bool]()
    for step in range(10):
        real, _ = batches[step]
        assert real.predicted is not None
        again = quiet(real.on(torch.device("cpu")).at(ALPHAS)[0], real.t, real.text[0])
        torch.testing.assert_close(real.predicted[0], again)
        dropped.update((real.text[0][:, 0] == EMPTY[0][0]).tolist())
    assert set(dropped) == {True, False}


def test_draws_of_another_rule_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stored draws have"):
        run(CONFIG, tmp_path, Bases(never, never), draws_of("band"))
    with pytest.raises(UsageError, match="stored draws have"):
        run(replace(CONFIG, text_drop=0.0), tmp_path, Bases(never, never), draws_of())


def test_predictions_lie_as_files_want_them_whatever_a_network_s_layout() -> None:
    def turned(x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        return x_t.transpose(1, 2).contiguous().transpose(1, 2)

    batch = draws_of().batch([0, 1])
    assert not turned(batch.sample[0], batch.sample[0], batch.text[0]).is_contiguous()
    assert all(half.is_contiguous() for half in predict_noise(Bases(turned, turned).epsilon, batch, ALPHAS))
