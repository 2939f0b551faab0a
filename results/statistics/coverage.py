"""How often 95 % intervals of Fréchet distances hold the truth, by simulation (README.md beside this file)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance, frechet_replicates
from mmbench.statistics.estimates import resample_indices


@dataclass(frozen=True)
class Case:
    """Normal features with deviations i^(-decay / 2) in d dimensions; n clips of `rows` rows; `pair`: see README."""

    name: str
    d: int
    n: int
    decay: float
    shift: float
    scale: float = 1.15
    rows: int = 1
    pair: float | None = None


CASES = (
    Case("decaying, d 8", 8, 160, 1.5, 0.12),
    Case("decaying, d 8, near", 8, 160, 1.5, 0.0, 1.0),
    Case("decaying, d 8, far", 8, 160, 1.5, 0.6),
    Case("decaying, d 40, n 80", 40, 80, 1.5, 0.1),
    Case("flat, d 20, n 140", 20, 140, 0.0, 0.1),
    Case("flat, d 20, n 700", 20, 700, 0.0, 0.1),
    Case("flat, d 20, n 35", 20, 35, 0.0, 0.1),
    Case("two rows a clip", 8, 160, 1.5, 0.2, 1.0, rows=2),
    Case("pairs, correlation 0.9", 8, 160, 1.5, 0.15, 1.0, pair=0.9),
    Case("pairs, independent", 20, 140, 0.0, 0.15, 1.0, pair=0.0),
)


def study(case: Case, repetitions: int, replicates: int, seed: int) -> str:
    """One line of the table."""
    rng = np.random.Generator(np.random.PCG64(seed))
    deviations = np.arange(1, case.d + 1) ** (-case.decay / 2)
    reference = Moments.of(rng.normal(size=(2 * case.n, case.d)) * deviations)
    clips = np.repeat(np.arange(case.n), case.rows)

    def truth(shift: float) -> float:
        covariance = np.diag((case.scale * deviations) ** 2)
        return frechet_distance(Moments(1, np.full(case.d, shift), covariance), reference, 0)

    def draw(noise: np.ndarray, shift: float) -> np.ndarray:
        return shift + noise * deviations * case.scale

    want = truth(case.shift) if case.pair is None else truth(1.5 * case.shift) - truth(case.shift)
    found = []
    for repetition in range(repetitions):
        shared = np.repeat(rng.normal(size=(case.n, case.d)), case.rows, axis=0)
        own = rng.normal(size=shared.shape)
        noise = shared if case.rows == 1 else 0.9**0.5 * shared + 0.1**0.5 * own
        sets = [draw(noise, case.shift)]
        if case.pair is not None:
            sets.append(draw(case.pair * shared + (1 - case.pair**2) ** 0.5 * own, 1.5 * case.shift))
        indices = resample_indices(case.n, replicates, repetition)
        values = [frechet_distance(Moments.of(x), reference, 0) for x in sets]
        drawn = [frechet_replicates(x, reference, indices, 0, clips) for x in sets]
        value, r = (values[0], drawn[0]) if case.pair is None else (values[1] - values[0], drawn[1] - drawn[0])
        found.append((value, r.mean(), r.std(ddof=1), *np.quantile(r, [0.025, 0.975])))
    value, mean, stderr, low, high = np.array(found).T
    intervals = {
        "percentile": (low, high),
        "basic": (2 * value - high, 2 * value - low),
        "normal": (2 * value - mean - 1.96 * stderr, 2 * value - mean + 1.96 * stderr),
    }
    coverage = [f"{100 * np.mean((a <= want) & (want <= b)):.1f}" for a, b in intervals.values()]
    cells = [case.name, case.n, f"{want:.3f}", f"{value.mean():.3f}", f"{np.mean(2 * value - mean):.3f}"]
    return " | ".join(map(str, [*cells, f"{value.std(ddof=1):.4f}", f"{stderr.mean():.4f}", *coverage]))


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    head = "case | n | truth | mean value | mean debiased | sd of value | mean stderr | percentile | basic | normal"
    print(f"| {head} |\n|{'---|' * 10}")
    for case in CASES:
        print(f"| {study(case, args.repetitions, args.replicates, args.seed)} |", flush=True)


if __name__ == "__main__":
    main()
