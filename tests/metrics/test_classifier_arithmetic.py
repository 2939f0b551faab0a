"""Inception score and KL: their ends, closed forms, and replicates against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.classifier import InceptionScore, inception_replicates, log_softmax, paired_kl
from mmbench.statistics.estimates import resample_indices


def test_inception_score_lies_between_one_and_the_number_of_classes() -> None:
    sure = np.tile(1e3 * np.eye(5), (40, 1))
    flat = InceptionScore.of(np.zeros((40, 5)))
    assert (flat.value, flat.split_std) == (pytest.approx(1.0), pytest.approx(0.0))
    assert InceptionScore.of(sure, splits=1).value == pytest.approx(5.0)
    assert InceptionScore.of(np.tile([1e3, 0.0, 0.0], (40, 1))).value == pytest.approx(1.0)


def test_a_split_of_k_clips_cannot_score_above_k() -> None:
    sure = 1e3 * np.eye(30)
    assert InceptionScore.of(sure).value == pytest.approx(3.0)
    assert InceptionScore.of(sure, splits=1).value == pytest.approx(30.0)


def test_more_splits_than_rows_are_refused() -> None:
    with pytest.raises(MMBenchError, match="cannot be split into 10"):
        InceptionScore.of(np.zeros((9, 5)))


@pytest.mark.parametrize("splits", [1, 3])
def test_replicates_are_the_score_of_each_resampled_set(splits: int) -> None:
    logits = 3 * np.random.default_rng(0).normal(size=(17, 6))
    indices = resample_indices(17, 5, seed=1)
    plain = []
    for drawn in indices:
        parts = [drawn[k * 17 // splits : (k + 1) * 17 // splits] for k in range(splits)]
        scores = []
        for part in parts:
            p = softmax(logits[part], axis=1)
            scores.append(np.exp(np.mean(np.sum(p * np.log(p / p.mean(axis=0)), axis=1))))
        plain.append(np.mean(scores))
    np.testing.assert_allclose(inception_replicates(logits, indices, splits), plain, rtol=1e-12)


def test_log_softmax_is_stable_and_normalised() -> None:
    log_p = log_softmax(np.array([[1e4, 1e4 - 1, -1e4]]))
    assert np.exp(log_p).sum() == pytest.approx(1.0)
    assert log_p[0, 0] - log_p[0, 1] == pytest.approx(1.0)


def test_kl_is_zero_of_equals_and_grows_with_the_difference() -> None:
    z = np.random.default_rng(0).normal(size=(6, 4))
    assert paired_kl(z, z) == pytest.approx(0, abs=1e-15)
    near, far = paired_kl(z + np.eye(4)[0], z), paired_kl(z - 4 * np.eye(4)[0], z)
    assert np.all(near > 0)
    assert np.all(far > near)
    with pytest.raises(MMBenchError, match="pairs of clips"):
        paired_kl(z, z[:5])


def test_kl_is_that_of_the_real_clip_from_the_generated_one() -> None:
    p, q = 0.8, 0.3  # of the real and of the generated clip
    generated, real = (np.log([[s, 1 - s]]) for s in (q, p))
    want = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert paired_kl(generated, real)[0] == pytest.approx(want, rel=1e-12)
    assert paired_kl(real, generated)[0] != pytest.approx(want, rel=1e-2)
