"""How many samples a comparison needs, from the scatter of a run on record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
    """The smallest difference that a comparison can show, and the samples that it needs.

    Attributes:
        detectable: The smallest true difference that is found with the asked power at the pilot's n.
        needed: Samples needed to find the asked effect; None if no effect was asked.
    """

    detectable: float
    needed: int | None


def plan(stderr: float, n: int, effect: float | None = None, power: float = 0.8, level: float = 0.95) -> Plan:
    """Find the smallest difference that n samples can show, and how many samples an effect needs.

    Holds for mean and set metrics alike, their standard errors falling with the root of n. Two runs of equal n that do
    not pair differ with √2 times the standard error of one.

    Args:
        stderr: Standard error of the difference in a pilot, e.g. of `paired_difference`.
        n: Samples of the pilot.
        effect: True difference to find, in units of the metric.
        power: Probability of finding it.
        level: 1 - level is the two-sided significance.

    Raises:
        ValueError: If the pilot or the effect is not positive.
    """
    if n < 2 or not stderr > 0 or (effect is not None and not effect > 0):
        raise ValueError(f"stderr {stderr}, n {n}, effect {effect}: expected a pilot of n >= 2 and positive numbers")
    from scipy.special import stdtrit

    def width(m: float) -> float:
        quantiles = stdtrit(m - 1, (1 + level) / 2) + stdtrit(m - 1, power)
        return float(quantiles * stderr * np.sqrt(n / m))

    if effect is None:
        return Plan(width(n), None)
    few, enough = 1, 2
    while width(enough) > effect:
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (middle, enough) if width(middle) > effect else (few, middle)
    return Plan(width(n), enough)
