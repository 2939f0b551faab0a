"""KL of classes as haoheliu/audioldm_eval@8dc07ee:audioldm_eval/metrics/kl.py has it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import expit, softmax, xlogy


def audioldm_kl(generated: np.ndarray, real: np.ndarray, activation: Literal["softmax", "sigmoid"]) -> np.ndarray:
    """(n,) divergences; 1e-6 stands inside one logarithm, and sigmoids are summed without their complement."""
    z, t = np.asarray(generated, np.float64), np.asarray(real, np.float64)
    q, p = (softmax(x, axis=1) if activation == "softmax" else expit(x) for x in (z, t))
    return np.sum(xlogy(p, p) - p * np.log(q + 1e-6), axis=1)
