"""Copies are told from fresh samples."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.metrics.arithmetic import authenticity as module
from mmbench.metrics.arithmetic.authenticity import authenticity
from mmbench.metrics.arithmetic.frechet_metric import Reference, frechet_score

RNG = np.random.default_rng(5)
REAL = RNG.normal(size=(300, 6))


def by_hand(ours: np.ndarray, theirs: np.ndarray) -> float:
    among = np.linalg.norm(theirs[:, None] - theirs[None], axis=-1) + np.diag(np.full(len(theirs), np.inf))
    to_real = np.linalg.norm(ours[:, None] - theirs[None], axis=-1)
    return float(np.mean(to_real.min(1) > among.min(1)[to_real.argmin(1)]))


def test_copies_are_not_authentic_and_far_ones_are() -> None:
    assert authenticity(REAL[:40], REAL) == {"authentic": 0.0, "authentic_stderr": 0.0}
    assert authenticity(REAL[:40] + 1e-9, REAL)["authentic"] == 0.0
    assert authenticity(REAL[:40] + 100.0, REAL)["authentic"] == 1.0


def test_it_is_the_definition_however_large_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = RNG.normal(size=(80, 6))
    whole = authenticity(fresh, REAL)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert authenticity(fresh, REAL) == whole
    assert whole["authentic"] == by_hand(fresh, REAL)


def test_a_model_that_copies_half_of_its_samples_is_seen_beside_held_out_clips() -> None:
    held_out, fresh = RNG.normal(size=(200, 6)), RNG.normal(size=(200, 6))
    honest, other = authenticity(held_out, REAL), authenticity(fresh, REAL)
    half = authenticity(np.concatenate([fresh[:100], REAL[:100] + 1e-3]), REAL)
    assert abs(honest["authentic"] - other["authentic"]) < 3 * (honest["authentic_stderr"] + other["authentic_stderr"])
    assert half["authentic"] < 0.65 * other["authentic"]


def test_it_stands_beside_every_distance_whose_clips_are_of_one_length() -> None:
    ours, theirs = REAL[:50] + 0.3, REAL[50:100]
    score = frechet_score([row[None] for row in ours], Reference.of([row[None] for row in theirs], 0, 0), 0, 0, "kvd")
    assert score.details["authentic"] == by_hand(ours, theirs)
    uneven = [np.repeat(row[None], 1 + i % 2, 0) for i, row in enumerate(theirs)]
    none = frechet_score([row[None] for row in ours], Reference.of(uneven, 0, 0), 0, 0, "kvd")
    assert none.details["authentic"] is None
