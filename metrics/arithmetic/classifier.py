"""Inception score, and KL divergence between paired clips, from the logits of a sound classifier (PANNs, PaSST)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.frechet import checked


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """The logarithms (n, classes) of class probabilities of (n, classes) logits, float64."""
    z = checked(logits)
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def paired_kl(generated: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The KL divergence (n,) of each generated clip's classes from its real clip's, Σ p_real log(p_real / p_gen).

    Source: hkchengrex/av-benchmark@050a5cd:av_bench/metrics/kl.py.

    Args:
        generated: (n, classes) logits.
        real: (n, classes) logits of the real clips, in the same order.
    """
    log_q, log_p = log_softmax(generated), log_softmax(real)
    if log_q.shape != log_p.shape:
        raise MMBenchError(f"Logits have shapes {log_q.shape} and {log_p.shape}.", "pairs of clips")
    return np.sum(np.exp(log_p) * (log_p - log_q), axis=1)


@dataclass(frozen=True, eq=False)
class InceptionScore:
    """The inception score, exp E KL(p(class | clip) ‖ p(class)), over parts of a shuffled set.

    Attributes:
        order: (n,) the shuffle.
        splits: (parts,) the score of each part, at least 1 and at most its number of clips or of classes.
    """

    order: np.ndarray
    splits: np.ndarray

    @property
    def value(self) -> float:
        """The mean over the parts."""
        return float(self.splits.mean())

    @property
    def split_std(self) -> float:
        """The standard deviation over the parts, which is published after ±; no standard error of the mean."""
        return float(self.splits.std())

    @classmethod
    def of(cls, logits: np.ndarray, splits: int = 10, seed: int = 2020) -> InceptionScore:
        """The score of a set.

        Source: hkchengrex/av-benchmark@050a5cd:av_bench/metrics/isc.py, and the same in audioldm_eval.

        Args:
            logits: (n, classes).
            splits: Parts of the shuffled set, each with its own marginal.
            seed: Seed of the shuffle.

        Raises:
            MMBenchError: Fewer clips than parts.
        """
        if len(logits) < splits:
            raise MMBenchError(f"{len(logits)} rows cannot be split into {splits} parts.", f"at least {splits} rows")
        order = np.random.RandomState(seed).permutation(len(logits))  # the published stream
        (found,) = _split_scores(logits, order[None], splits)
        return cls(order, found)


def inception_replicates(logits: np.ndarray, indices: np.ndarray, splits: int) -> np.ndarray:
    """Bootstrap replicates (B,) of the inception score.

    Args:
        logits: (n, classes).
        indices: (B, n) resampled clips, see `mmbench.statistics.estimates.resample_indices`; in random order already.
        splits: Parts of each resampled set.
    """
    return _split_scores(logits, indices, splits).mean(axis=1)


def _split_scores(logits: np.ndarray, drawn: np.ndarray, splits: int) -> np.ndarray:
    """(B, parts) scores of the parts of each of B selections (B, n) of clips.

    The divergence of a part is its mean negative entropy less that of its mean distribution, so that a selection costs
    one product of counts and probabilities.
    """
    from scipy.special import xlogy

    log_p = log_softmax(logits)
    p = np.exp(log_p)
    negentropy = np.sum(p * log_p, axis=1)
    n = drawn.shape[1]
    borders = [part * n // splits for part in range(splits + 1)]
    part_of = np.repeat(np.arange(splits), np.diff(borders))
    found = np.empty((len(drawn), splits))
    for row, clips in zip(found, drawn, strict=True):
        counts = np.bincount(part_of * len(p) + clips, minlength=splits * len(p)).reshape(splits, len(p))
        share = counts / np.diff(borders)[:, None]
        marginal = share @ p
        row[:] = np.exp(share @ negentropy - np.sum(xlogy(marginal, marginal), axis=1))
    return found
