"""Precision, recall, density and coverage of feature sets, from k-nearest-neighbour balls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.frechet import checked


@dataclass(frozen=True)
class Manifold:
    """How a generated set lies in the neighbourhood balls of the real one, each in [0, 1] but density.

    Attributes:
        precision: Share of generated rows inside some real ball (fidelity).
        recall: Share of real rows inside some generated ball (diversity).
        density: Mean number of real balls around a generated row, divided by k; may exceed 1.
        coverage: Share of real balls that hold a generated row.
    """

    precision: float
    recall: float
    density: float
    coverage: float

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall; 0 if both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def manifold(generated: np.ndarray, reference: np.ndarray, k: int = 5, closed: bool = False) -> Manifold:
    """Precision, recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Source: clovaai/generative-evaluation-prdc@e320c1d:prdc/prdc.py (open balls) and
    toshas/torch-fidelity@5e211a9:torch_fidelity/metric_prc.py (closed balls).

    Args:
        generated: (n, d) features.
        reference: (m, d) features.
        k: Neighbour whose distance is the radius of a row's ball, the row itself not counted.
        closed: Whether a ball holds its boundary.
    """
    from scipy.spatial.distance import cdist

    x, y = checked(generated), checked(reference)
    if min(len(x), len(y)) <= k:
        raise MMBenchError(f"{len(x)} and {len(y)} rows have no neighbour number {k}.", f"more than {k} rows each")
    radius_x = np.partition(cdist(x, x), k, axis=1)[:, k]
    radius_y = np.partition(cdist(y, y), k, axis=1)[:, k]
    distance = cdist(y, x)  # (m, n)
    inside = np.less_equal if closed else np.less
    in_real, in_generated = inside(distance, radius_y[:, None]), inside(distance, radius_x[None, :])
    return Manifold(
        precision=float(in_real.any(axis=0).mean()),
        recall=float(in_generated.any(axis=1).mean()),
        density=float(in_real.sum(axis=0).mean() / k),
        coverage=float(inside(distance.min(axis=1), radius_y).mean()),
    )
