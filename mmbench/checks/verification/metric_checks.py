"""What must hold of a metric whatever its networks: identity, order, missing samples, and answers to distortion."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from mmbench.checks.verification.check_row import NotApplicable, Row, judge, within
from mmbench.checks.verification.ladders import Ladder, Material, ladders_for
from mmbench.optional_protocols import SplitsByPlace, in_pairs
from mmbench.scores.evaluate import signature
from mmbench.statistics.estimates import mean_estimate
from mmbench.types import Features, FeatureTable, Metric, Score, is_untrained, least_real

EXACT = 1e-9  # relative; for float64 sums in another order
ALLOWANCE = 3.0  # standard errors that a step may seem to improve
RESPONSE = 2.0  # standard errors that the whole ladder must worsen
GROUP = 4  # clips
Scoring = Callable[..., Score]  # of a table, and of which samples it is


@dataclass(frozen=True)
class Subject:
    """A metric under examination.

    Attributes:
        name: Its name, as the user writes it.
        build: Makes it for a device.
        device: The device it is examined on.
    """

    name: str
    build: Callable[[str], Metric]
    device: str = "auto"

    @cached_property
    def metric(self) -> Metric:
        """The metric on its device."""
        return self.build(self.device)

    @property
    def weights(self) -> str:
        """How real its networks are; the least real one counts."""
        kinds = {e.weights for e in self.metric.extractors()}
        return least_real(kinds)


def check_metric(subject: Subject, material: Material, seed: int) -> list[Row]:
    """Check one metric: identity, order, missing samples, answers to distortions, signature; one row each."""
    metric = subject.metric
    spread = ladders_for(metric)

    def row(check: str, required: str, look: Callable[[], tuple[bool, str]]) -> Row:
        return judge(check, subject.name, required, look, subject.weights)

    def score(table: FeatureTable, chosen: Sequence[int] | None = None) -> Score:
        """Score a table of the samples `chosen`, by default all of them."""
        reference = material.table(metric) if metric.needs_reference else None
        if reference and chosen is not None and in_pairs(metric):
            reference = {k: [v[i] for i in chosen] for k, v in reference.items()}
        return metric.score(table, reference, seed)

    def sample() -> dict[str, list[Features | None]]:
        """Samples that differ from the reference where there is one."""
        far = spread[0] if metric.needs_reference and spread else None
        return material.table(metric, far, far.steps[-1] if far else 0)

    rows = [row("signature", "equal when made again, and after use", lambda: same_signature(subject, material))]
    if metric.needs_reference:
        claim = f"|distance of a set from itself| <= {EXACT:g} of its variance"
        rows.append(row("identity", claim, lambda: identity(score, material.table(metric))))
    else:
        rows.append(
            row("identity", "a clip's value is its own: equal beside its copy", lambda: copies(score, sample()))
        )
    order = by_place if isinstance(metric, SplitsByPlace) and metric.by_place else permutation
    rows.append(row("order of samples", f"equal to {EXACT:g} relative", lambda: order(score, sample(), seed)))
    rows.append(row("missing sample", f"left out: equal to {EXACT:g} relative", lambda: missing(score, sample())))
    claim = f"worse step by step within {ALLOWANCE:g} s.e., and by more than {RESPONSE:g} s.e. in all"
    for ladder in spread:
        rows.append(row(f"answer to {ladder.name}", claim, partial(answer, subject, material, ladder, seed)))
    if not spread:
        rows.append(row("answer to distortion", claim, nothing_known))
    return rows


def identity(score: Scoring, reference: FeatureTable) -> tuple[bool, str]:
    """Whether the distance of a set from itself is zero, in units of the features' total variance."""
    return within(score(reference).value / total_variance(reference), EXACT, "distance / variance")


def total_variance(table: FeatureTable) -> float:
    """Trace of the covariance of all features together."""
    found = 0.0
    for features in table.values():
        known = [f for f in features if f is not None]
        for name in known[0]:
            found += float(np.concatenate([np.atleast_2d(f[name]) for f in known]).astype(np.float64).var(0).sum())
    return found


def copies(score: Scoring, table: FeatureTable) -> tuple[bool, str]:
    """Whether, with every sample there twice, both copies have the value that the sample has alone."""
    once, twice = score(table).per_sample, score({k: [*v, *v] for k, v in table.items()}).per_sample
    if once is None or twice is None:
        raise NotApplicable("the metric has no values per sample and compares with nothing")
    differ = int(np.sum(~np.isclose(twice, np.tile(once, 2), rtol=0, atol=0, equal_nan=True)))
    return differ == 0, f"{differ} of {len(twice)} values differ"


def by_place(score: Scoring, table: FeatureTable, seed: int) -> tuple[bool, str]:
    """Say that the order counts in a metric whose protocol splits samples by it."""
    raise NotApplicable("its protocol splits the samples by their places")


def permutation(score: Scoring, table: FeatureTable, seed: int) -> tuple[bool, str]:
    """Whether the value is independent of the order of samples, and values per sample go with their samples."""
    order = np.random.default_rng(seed).permutation(len(next(iter(table.values()))))
    a, b = score(table), score({k: [v[i] for i in order] for k, v in table.items()}, order)
    held, measured = within(relative(a.value, b.value), EXACT, "relative difference")
    if a.per_sample is not None and b.per_sample is not None:
        stray = int(np.sum(~np.isclose(a.per_sample[order], b.per_sample, rtol=EXACT, atol=0, equal_nan=True)))
        return held and not stray, f"{measured}, {stray} values per sample astray"
    return held, measured


def missing(score: Scoring, table: FeatureTable) -> tuple[bool, str]:
    """Whether a sample that is not there changes nothing but the count."""
    gap = score({k: [None if i == 1 else f for i, f in enumerate(v)] for k, v in table.items()})
    others = [i for i in range(len(next(iter(table.values())))) if i != 1]
    without = score({k: [v[i] for i in others] for k, v in table.items()}, others)
    held, measured = within(relative(gap.value, without.value), EXACT, "relative difference")
    return held and gap.num_scored == without.num_scored, f"{measured}, n {gap.num_scored} and {without.num_scored}"


def relative(a: float, b: float) -> float:
    """The difference |a - b| in units of the larger; NaN if either is."""
    return abs(a - b) / max(abs(a), abs(b), np.finfo(float).tiny)


def nothing_known() -> tuple[bool, str]:
    """Say that nothing can be required of a metric of one half without a reference: no distortion must worsen it."""
    raise NotApplicable("one modality and no reference: no distortion must worsen it")


def answer(subject: Subject, material: Material, ladder: Ladder, seed: int) -> tuple[bool, str]:
    """Whether the metric grows worse from the real clips to the strongest distortion.

    Agreement of halves under networks of random weights means nothing, and under networks made for other pictures and
    sounds nothing is guaranteed on drawn ones: there a missing answer is reported, not judged.
    """
    metric = subject.metric
    if not metric.needs_reference and is_untrained(subject.weights):
        raise NotApplicable(f"{subject.weights} weights: agreement under untrained networks means nothing")
    values = [values_of_parts(subject, material, seed)]
    values += [values_of_parts(subject, material, seed, ladder, step) for step in ladder.steps]
    steps = [worsening(a, b, metric.higher_is_better) for a, b in itertools.pairwise(values)]
    whole = worsening(values[0], values[-1], metric.higher_is_better)
    means = ", ".join(f"{np.nanmean(v):.3g}" for v in values)
    at = ", ".join(f"{step:g}" for step in ladder.steps)
    measured = f"{means} at none, {at} {ladder.unit}; in all {whole:+.3g} s.e., least step {min(steps):+.2g}"
    held = whole > RESPONSE and all(step >= -ALLOWANCE for step in steps)
    if not held and not metric.needs_reference and subject.weights == "real":
        raise NotApplicable(f"{measured}: these networks promise nothing on drawn clips")
    return held, measured


def values_of_parts(
    subject: Subject, material: Material, seed: int, ladder: Ladder | None = None, step: float = 0
) -> np.ndarray:
    """A metric's values on independent parts of the material, so that their scatter gives a standard error.

    The parts are the samples where there are values per sample, else groups of four clips, compared with the same
    clips undistorted. The bootstrap of a distance would not do: against a fixed reference it sees how the clips
    differ, which here is many times what a distortion changes.
    """
    metric, reference = subject.metric, material.table(subject.metric)
    table = material.table(metric, ladder, step)
    n = len(material.items)
    if not metric.needs_reference:
        per_sample = metric.score(table, None, seed).per_sample
        if per_sample is None:
            raise NotApplicable("the metric has no values per sample and compares with nothing")
        return per_sample
    found = []
    for start in range(0, n - GROUP + 1, GROUP):
        a, b = ({k: v[start : start + GROUP] for k, v in side.items()} for side in (table, reference))
        found.append(metric.score(a, b, seed).value)
    return np.array(found)


def worsening(a: np.ndarray, b: np.ndarray, higher_is_better: bool) -> float:
    """By how many standard errors of the paired difference b is worse than a; infinite without scatter, 0 if equal."""
    difference = mean_estimate(a - b if higher_is_better else b - a)
    if difference.stderr is None or math.isnan(difference.value):
        return math.nan
    if difference.stderr == 0:
        return math.copysign(math.inf, difference.value) if difference.value else 0.0
    return difference.value / difference.stderr


def same_signature(subject: Subject, material: Material) -> tuple[bool, str]:
    """Whether the signature is the same of a metric made again and of one that was used, and survives JSON."""
    size = material.items[0].clip.size()
    fresh = signature(subject.build(subject.device), [size])
    metric = subject.metric
    metric.score(material.table(metric), material.table(metric) if metric.needs_reference else None, 0)
    used, again = signature(metric, [size]), signature(subject.build("cpu"), [size])
    specs: list[Any] = [dict(e.spec()) for e in metric.extractors()]
    readable = json.loads(json.dumps(specs)) == specs
    return fresh == used == again and readable, fresh if fresh == used == again else f"{fresh}; {used}; {again}"
