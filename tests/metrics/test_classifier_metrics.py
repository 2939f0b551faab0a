"""FD, KL and IS of sound classifiers: pairs, baselines, details, too few clips, and one extraction for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.arithmetic.classifier import InceptionScore, paired_kl
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.optional_protocols import NeedsLength, in_pairs
from mmbench.registry import lookup, make_metric
from mmbench.statistics.excess import estimate_excess
from mmbench.statistics.paired import paired_difference
from mmbench.statistics.shuffled import derangements
from mmbench.types import Features, distinct_extractors

METRICS = [f"{kind}_{network}" for kind in ("fd", "kl", "is") for network in ("passt", "pann")]
RNG = np.random.default_rng(0)


def features(n: int, width: int = 6, shift: float = 0.0, seed: int = 0) -> list[Features | None]:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, width)) + shift
    logits = 3 * rng.standard_normal((n, 5)) + shift * np.arange(5)
    return [
        {"embedding": row.astype(np.float32), "logits": z.astype(np.float32), "silent": np.array(i == 0)}
        for i, (row, z) in enumerate(zip(rows, logits, strict=True))
    ]


def stack(table: list[Features | None], entry: str) -> np.ndarray:
    return np.stack([row[entry] for row in table if row is not None])


def metric(name: str) -> Any:
    return make_metric(name, weights="random")


def score(name: str, ours: list[Features | None], real: list[Features | None] | None, seed: int = 0) -> Any:
    made = metric(name)
    return made.score({made.extractor.name: ours}, real and {made.extractor.name: real}, seed)


def test_one_look_at_a_sound_serves_all_metrics_of_a_classifier() -> None:
    made = [metric(name) for name in METRICS]
    assert [e.name for e in distinct_extractors(made)] == ["passt_8s", "pann_8s"]
    assert {m.name for m in made if isinstance(m, NeedsLength)} == {"fd_pann", "kl_pann", "is_pann"}
    assert [in_pairs(m) for m in made] == [True, False, True, True, False, False]
    assert [in_pairs(metric(name)) for name in ("fd_passt.all", "fd_pann.paired")] == [False, True]


@pytest.mark.parametrize("name", METRICS)
def test_variants(name: str) -> None:
    variants = lookup("metric", name).factory.variants  # type: ignore[attr-defined]
    assert variants[0] == "avbench_8s" == metric(name).variant
    assert {metric(f"{name}.{v}").extractor.seconds for v in variants} == {8, 10}
    with pytest.raises(UsageError, match="one of avbench_8s, avbench_10s"):
        metric(f"{name}.mova")


def test_kl_is_of_each_clip_from_its_own_real_one() -> None:
    ours, real = features(6), features(6, shift=0.5, seed=1)
    ours[1], real[4] = None, None
    found = score("kl_passt", ours, real, seed=3)
    kept = [0, 2, 3, 5]
    want = paired_kl(*(np.stack([side[i]["logits"] for i in kept]) for side in (ours, real)))  # type: ignore[index]
    np.testing.assert_allclose(found.per_sample[kept], want)
    assert np.isnan(found.per_sample[[1, 4]]).all()
    assert (found.num_scored, found.value) == (4, pytest.approx(want.mean()))
    assert found.details["silent"] == 1
    others = []
    for partner in derangements(4, 8, 3):
        theirs = [real[kept[j]] for j in partner]
        others.append(paired_kl(stack([ours[i] for i in kept], "logits"), stack(theirs, "logits")).mean())
    assert found.baseline == pytest.approx(np.mean(others))
    assert estimate_excess(found).value == pytest.approx(found.value - np.mean(others))


def test_kl_of_real_clips_is_zero_and_below_its_baseline() -> None:
    real = features(8)
    found = score("kl_pann", real, real)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.baseline > 1
    alone = score("kl_pann", real[:1], real[:1])
    assert (alone.num_scored, alone.baseline, alone.stderr) == (1, None, None)
    nothing = score("kl_pann", [None], real[:1])
    assert np.isnan(nothing.value)
    assert nothing.num_scored == 0
    for wrong in (None, real[:5]):
        with pytest.raises(MMBenchError, match="for 8 samples"):
            score("kl_pann", real, wrong)


def test_inception_score_is_the_published_mean_of_ten_splits() -> None:
    ours = features(43)
    gap = [None, *ours]
    found, whole = score("is_pann", gap, None), score("is_pann.one_split", gap, None)
    published = InceptionScore.of(stack(ours, "logits"))
    assert (found.value, found.details["split_std"]) == (published.value, published.split_std)
    assert (found.num_scored, found.details["silent"], found.details["at_most"]) == (43, 1, 5)
    assert whole.value == InceptionScore.of(stack(ours, "logits"), 1).value > found.value
    assert (whole.details["split_std"], whole.details["at_most"]) == (None, 5)
    low, high = (whole.details[f"infinity_{end}"] for end in ("low", "high"))
    assert low < whole.value < high


def test_inception_scores_of_two_systems_pair() -> None:
    ours = features(40)
    worse = [{**row, "logits": 0.5 * row["logits"]} for row in ours if row is not None]
    a, b = score("is_passt", ours, None), score("is_passt", worse, None)
    found = paired_difference(a, b)
    assert found.value < 0
    assert (found.p_value or 1) < 0.01
    assert 0 < (found.stderr or 0) < np.hypot(a.stderr, b.stderr)


@pytest.mark.parametrize(("name", "fewest"), [("is_pann", 10), ("is_pann.one_split", 2)])
def test_too_few_clips_have_no_inception_score(name: str, fewest: int) -> None:
    few, enough = (score(name, features(n), None) for n in (fewest - 1, fewest))
    assert np.isnan(few.value)
    assert (few.num_scored, enough.num_scored) == (0, fewest)


def test_fd_takes_all_real_clips_or_those_with_a_partner() -> None:
    ours, real = features(12), features(12, shift=0.3, seed=1)
    ours[2] = None
    everything = frechet_distance(Moments.of(stack(ours, "embedding")), Moments.of(stack(real, "embedding")), 1)
    pairs = [row for i, row in enumerate(real) if i != 2]
    paired = frechet_distance(Moments.of(stack(ours, "embedding")), Moments.of(stack(pairs, "embedding")), 1)
    for name, want, count in [
        ("fd_pann", everything, 12),
        ("fd_pann.paired", paired, 11),
        ("fd_passt", paired, 11),
        ("fd_passt.all", everything, 12),
    ]:
        found = score(name, ours, real)
        assert found.value == pytest.approx(want, rel=1e-9), name
        assert (found.num_scored, found.details["num_reference"]) == (11, count)
        assert found.stderr > 0
        assert found.details["kad"] is not None


def test_a_lone_pair_is_told_why_at_its_own_place() -> None:
    ours, real = features(4), features(4, seed=1)
    real[:3] = [None, None, None]
    assert "too few real clips" in score("fd_passt", ours, real).reasons[3]


def test_the_record_says_that_few_clips_in_many_dimensions_are_singular() -> None:
    few = score("fd_pann", features(9, 32), features(12, 32, seed=1))
    assert (few.details["dimensions"], few.details["rank"]) == (32, 8)
    enough = score("fd_pann", features(50, 6), features(50, 6, seed=1))
    assert (enough.details["dimensions"], enough.details["rank"]) == (6, 6)
    assert enough.details["infinity"] is not None
    nothing = score("fd_passt", [None], features(1))
    assert nothing.num_scored == 0
