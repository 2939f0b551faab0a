"""Inception score, and KL divergence between paired clips, from the logits of a sound classifier (PANNs, PaSST).

Held to the reference implementations by the conformance fixtures; no metric is registered on them yet.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.frechet import checked


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """The logarithms (n, classes) of class probabilities of (n, classes) logits."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def inception_score(logits: np.ndarray, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """The inception score, exp E KL(p(class | clip) ‖ p(class)): mean and standard deviation over shuffled splits.

    Source: haoheliu/audioldm_eval@8dc07ee:audioldm_eval/metrics/isc.py.

    Args:
        logits: (n, classes).
        splits: Parts of the shuffled set, each with its own marginal.
        seed: Seed of the shuffle.

    Returns:
        The score, at least 1 and at most the number of classes, and its scatter over splits.
    """
    from scipy.special import rel_entr

    z = checked(logits)
    if len(z) < splits:
        raise MMBenchError(f"{len(z)} rows cannot be split into {splits} parts.", f"at least {splits} rows")
    order = np.random.RandomState(seed).permutation(len(z))  # the published stream
    probabilities = np.exp(log_softmax(z[order]))
    scores = []
    for part in range(splits):
        p = probabilities[part * len(z) // splits : (part + 1) * len(z) // splits]
        scores.append(np.exp(rel_entr(p, p.mean(axis=0)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def paired_kl(generated: np.ndarray, target: np.ndarray, activation: Literal["softmax", "sigmoid"]) -> np.ndarray:
    """The KL divergence (n,) of each generated clip's classes from those of its target clip.

    Source: haoheliu/audioldm_eval@8dc07ee:audioldm_eval/metrics/kl.py.

    Args:
        generated: (n, classes) logits.
        target: (n, classes) logits of the real clips, in the same order.
        activation: "softmax" over classes, or "sigmoid" per class, summed without the complement, as published.
    """
    from scipy.special import expit, xlogy

    z, t = checked(generated), checked(target)
    if z.shape != t.shape:
        raise MMBenchError(f"Logits have shapes {z.shape} and {t.shape}.", "pairs of clips")
    eps = 1e-6  # inside the logarithm of the generated clip only, as published
    if activation == "softmax":
        q, p = np.exp(log_softmax(z)), np.exp(log_softmax(t))
    else:
        q, p = expit(z), expit(t)
    return np.sum(xlogy(p, p) - p * np.log(q + eps), axis=1)
