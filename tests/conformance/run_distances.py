"""Fréchet and kernel distances, precision and recall, inception score and KL on given features."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from mmbench.metrics.arithmetic.classifier import InceptionScore, log_softmax, paired_kl
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.metrics.arithmetic.kernel import KernelDistance, kernel_distance, median_distance
from tests.conformance.harness import Fixture, runner
from tests.reference.kernel import kad, kid
from tests.reference.kl import audioldm_kl
from tests.reference.neighbours import manifold


@runner("frechet")
def frechet(fixture: Fixture) -> None:
    for case, spec in fixture.config["cases"].items():
        moments = {side: Moments.of(fixture.array(spec[side])[: spec.get(f"{side}_rows")]) for side in ("real", "gen")}
        for side, m in moments.items():
            values = {
                f"{case}.mean_{side}": m.mean,
                f"{case}.mean_{side}_float32": m.mean,
                f"{case}.cov_{side}": m.covariance(spec["ddof"]),
            }
            for name in values.keys() & fixture.config["outputs"].keys():
                fixture.check(name, values[name])
        distance = frechet_distance(moments["real"], moments["gen"], spec["ddof"])
        names = [name for name in fixture.config["scalars"] if name.startswith(f"{case}.")]
        assert names, f"no scalar for {case}"
        for name in names:
            limits = fixture.config["scalars"][name]
            print(name, distance, distance - limits["value"], distance - limits["independent_float64"], limits["atol"])
            fixture.check_close(distance, limits["value"], limits, name)


def _sets(fixture: Fixture, columns: str) -> tuple[np.ndarray, np.ndarray]:
    """Generated and real features: all columns ("full") or the first so many ("first8")."""
    width = None if columns == "full" else int(columns.removeprefix("first"))
    return fixture.array("gen")[:, :width], fixture.array("real")[:, :width]


def _kid(fixture: Fixture, subsets: str, size: str, statistic: str) -> float:
    values = kid(*_sets(fixture, "full"), int(subsets), int(size))
    return values[("mean", "std").index(statistic)]


def _kad(fixture: Fixture, kind: Any, bandwidth: str | None, baseline: str, evaluated: str) -> float:
    reference, generated = fixture.array(evaluated), fixture.array(baseline)  # the official width: second argument's
    if kind == "gaussian" and not bandwidth:
        return _scored("kad", generated, reference)
    return kad(generated, reference, float(bandwidth) if bandwidth else None, kind)


def _scored(kind: KernelDistance, generated: np.ndarray, reference: np.ndarray) -> float:
    """The distance as scores have it, every row a clip."""
    value = kernel_distance(kind, list(generated[:, None]), list(reference[:, None]))[kind]
    assert value is not None
    return value


def _manifold(fixture: Fixture, flavour: str, columns: str, k: str, field: str) -> float:
    value: float = getattr(manifold(*_sets(fixture, columns), int(k), closed=flavour == "prc_torch_fidelity"), field)
    return value


def _kl(fixture: Fixture, activation: Any) -> float:
    target = fixture.array("logits_real")
    generated = fixture.array("logits_gen")[: len(target)]
    published = audioldm_kl(generated, target, activation)
    if activation == "softmax":  # ours is without their 1e-6
        ours, floor = paired_kl(generated, target), np.exp(log_softmax(generated)).min()
        assert np.all(ours >= published - 1e-12)
        assert np.all(ours - published <= np.log1p(1e-6 / floor))
    return float(published.mean())


_RULES: dict[str, Callable[..., float]] = {
    r"kid\.(?:audioldm_eval_oversized_)?(\d+)x(\d+)\.(mean|std)": _kid,
    r"kvd\.mm_diffusion": lambda f: _scored("kvd", *_sets(f, "full")),
    r"kvd\.mm_diffusion_reversed": lambda f: _scored("kvd", *_sets(f, "full")[::-1]),
    r"fvd\.mm_diffusion_frechet": lambda f: frechet_distance(
        Moments.of(f.array("gen")), Moments.of(f.array("real")), 1
    ),
    r"kad\.(gaussian|iq|imq)(?:_bandwidth_([\d.]+?))?\.baseline_(gen|real)_eval_(gen|real)": _kad,
    r"kad\.median_distance_(gen|real)": lambda f, side: median_distance(f.array(side)),
    r"(prdc|prc_torch_fidelity)\.(full|first\d+)\.k(\d+)\.(\w+)": _manifold,
    r"isc\.inception_score_mean": lambda f: InceptionScore.of(f.array("logits_gen")).value,
    r"isc\.inception_score_std": lambda f: InceptionScore.of(f.array("logits_gen")).split_std,
    r"kl\.kullback_leibler_divergence_(sigmoid|softmax)": _kl,
}


@runner("feature_metrics")
def feature_metrics(fixture: Fixture) -> None:
    for name, limits in fixture.config["scalars"].items():
        rules = [(rule, match) for pattern, rule in _RULES.items() if (match := re.fullmatch(pattern, name))]
        assert len(rules) == 1, f"{name}: {len(rules)} rules fit"
        rule, match = rules[0]
        fixture.check_close(rule(fixture, *match.groups()), limits["value"], limits, name)
