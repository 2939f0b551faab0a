"""Authenticity: whether generated samples lie closer to real ones than real ones lie to each other, as copies do.

A sample is authentic if it is farther from its nearest real neighbour than that one is from its own nearest real
neighbour (Alaa et al., arXiv 2102.08921, section 3.3). Copies of training clips are not; so it is read beside that of
held-out real clips, the row `ground_truth`, which is what no memory gives.
"""

from __future__ import annotations

import math

import numpy as np

BLOCK = 512  # rows whose distances are in memory at once


def authenticity(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Share of generated samples that are authentic.

    Args:
        ours: (n, d) features of generated samples.
        theirs: (m, d) features of real ones, m >= 2, of the training half where there is one.

    Returns:
        `authentic`, in [0, 1], and `authentic_stderr` of that share over samples.
    """
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    theirs_alone, _ = _nearest(theirs, theirs, same=True)
    distance, neighbour = _nearest(ours, theirs, same=False)
    share = float(np.mean(distance > theirs_alone[neighbour]))
    return {"authentic": share, "authentic_stderr": math.sqrt(share * (1 - share) / len(ours))}


def _nearest(rows: np.ndarray, among: np.ndarray, same: bool) -> tuple[np.ndarray, np.ndarray]:
    """Squared distance to the nearest of `among`, and its place; `same` leaves each row itself out.

    Nearest ones are found by the expansion of the square, their distances taken by difference, so that a copy has
    exactly 0.
    """
    squares = (among**2).sum(1)
    places = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        scores = squares - 2 * block @ among.T
        if same:
            k = np.arange(len(block))
            scores[k, start + k] = np.inf
        places[start : start + BLOCK] = scores.argmin(1)
    return ((rows - among[places]) ** 2).sum(1), places
