"""Authenticity: whether generated samples lie closer to real ones than real ones lie to each other, as copies do.

A sample is authentic if it is farther from its nearest real neighbour than that one is from its own nearest real
neighbour (Alaa et al., arXiv 2102.08921, section 3.3). Copies of training clips are not; so it is read beside that of
held-out real clips, the row `ground_truth`, which is what no memory gives.
"""

from __future__ import annotations

import math

import numpy as np

DISTANCES = 2**19  # in memory at once: 4 MiB, which caches hold
LOOKED_AT = 4096  # samples of a larger set, evenly spaced, give its share


def authenticity(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Share of generated samples that are authentic.

    Of more than `LOOKED_AT` samples it is that of so many of them, each held against all real ones: a copy has one
    original.

    Args:
        ours: (n, d) features of generated samples.
        theirs: (m, d) features of real ones, m >= 2, of the training half where there is one.

    Returns:
        `authentic`, in [0, 1], and `authentic_stderr` of that share over the samples that were looked at.
    """
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    ours = ours[np.linspace(0, len(ours) - 1, min(len(ours), LOOKED_AT)).round().astype(int)]
    distance, neighbour = _nearest(ours, theirs)
    near, which = np.unique(neighbour, return_inverse=True)
    alone, _ = _nearest(theirs[near], theirs, near)
    share = float(np.mean(distance > alone[which]))
    return {"authentic": share, "authentic_stderr": math.sqrt(share * (1 - share) / len(ours))}


def _nearest(rows: np.ndarray, among: np.ndarray, own: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Squared distance to the nearest of `among`, and its place; a row's own place there, if it has one, is left out.

    Nearest ones are found by the expansion of the square, their distances taken by difference, so that a copy has
    exactly 0.
    """
    squares = (among**2).sum(1)
    places = np.empty(len(rows), dtype=np.int64)
    step = max(1, DISTANCES // len(among))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        scores = squares - 2 * block @ among.T
        if own is not None:
            scores[np.arange(len(block)), own[start : start + step]] = np.inf
        places[start : start + step] = scores.argmin(1)
    return ((rows - among[places]) ** 2).sum(1), places
