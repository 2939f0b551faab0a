"""Inception score and KL at their ends."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.classifier import inception_score, log_softmax, paired_kl


def test_inception_score_lies_between_one_and_the_number_of_classes() -> None:
    sure = np.tile(1e3 * np.eye(5), (40, 1))
    assert inception_score(np.zeros((40, 5))) == (pytest.approx(1.0), pytest.approx(0.0))
    assert inception_score(sure, splits=1)[0] == pytest.approx(5.0)
    assert inception_score(np.tile([1e3, 0.0, 0.0], (40, 1)))[0] == pytest.approx(1.0)


def test_more_splits_than_rows_are_refused() -> None:
    with pytest.raises(MMBenchError, match="cannot be split into 10"):
        inception_score(np.zeros((9, 5)))


def test_log_softmax_is_stable_and_normalised() -> None:
    log_p = log_softmax(np.array([[1e4, 1e4 - 1, -1e4]]))
    assert np.exp(log_p).sum() == pytest.approx(1.0)
    assert log_p[0, 0] - log_p[0, 1] == pytest.approx(1.0)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_kl_is_zero_of_equals_and_grows_with_the_difference(activation: str) -> None:
    z = np.random.default_rng(0).normal(size=(6, 4))
    assert paired_kl(z, z, activation) == pytest.approx(0, abs=1e-4)
    near, far = paired_kl(z + np.eye(4)[0], z, activation), paired_kl(z - 4 * np.eye(4)[0], z, activation)
    assert np.all(near != 0)
    assert np.all(far > 0.01)
    with pytest.raises(MMBenchError, match="pairs of clips"):
        paired_kl(z, z[:5], activation)


def test_kl_of_two_classes_in_closed_form() -> None:
    p, q = 0.8, 0.3
    logits = [np.log([[s, 1 - s]]) for s in (q, p)]
    want = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert paired_kl(logits[0], logits[1], "softmax")[0] == pytest.approx(want, abs=1e-5)
