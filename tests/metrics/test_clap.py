"""CLAP: prompts, short sounds, the score and its baseline, presets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.clap import PRESETS, Clap
from mmbench.metrics.extractors.clap import ClapAudio, ClapText
from mmbench.metrics.networks.roberta_tokens import RobertaTokens
from mmbench.registry import make_metric
from mmbench.statistics.excess import estimate_excess
from mmbench.types import Clip, Features, distinct_extractors
from mmbench.weights.known import KNOWN

RATE = 16000
VIDEO = np.zeros((8, 8, 8, 3), np.uint8)


def clip(audio: np.ndarray, rate: int = RATE) -> Clip:
    return Clip(VIDEO, 8.0, audio, rate)


@pytest.mark.parametrize("variant", PRESETS)
def test_the_shortest_sound_and_none(variant: str) -> None:
    hearing = ClapAudio(PRESETS[variant], "random")
    for samples in (np.full(1, 0.3, np.float32), np.zeros(40000, np.float32)):
        (found,) = hearing.extract([clip(samples, 96000)])
        assert np.linalg.norm(found["embedding"]) == pytest.approx(1, abs=1e-5)
        assert found["silent"] == (not samples.any() or PRESETS[variant].centred)  # a single sample is its own mean
    with pytest.raises(MMBenchError, match="no audio"):
        hearing.extract([clip(np.zeros(0, np.float32))])


def test_a_prompt_is_the_same_beside_a_longer_one() -> None:
    reading = ClapText(PRESETS["avbench_8s"], "random")
    alone, beside, long = reading.extract(["rain", "rain", "a long story " * 20])
    np.testing.assert_array_equal(alone["embedding"], beside["embedding"])
    assert not np.allclose(alone["embedding"], long["embedding"], atol=1e-2)


def test_tokens_of_a_vocabulary(tmp_path: Path) -> None:
    words = ["<s>", "<pad>", "</s>", "<unk>", "r", "a", "i", "n", "Ġ", "ra", "in", "rain", "Ġrain", "<mask>"]
    merges = [["r", "a"], ["i", "n"], ["ra", "in"], ["Ġ", "rain"]]
    for number, kind in enumerate((merges, [" ".join(pair) for pair in merges])):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps({"model": {"vocab": {w: i for i, w in enumerate(words)}, "merges": kind}}))
        tokens = RobertaTokens(file)
        assert tokens("rain rain", 77).tolist() == [[0, 11, 12, 2]]
        assert tokens("rain rain rain rain", 4).tolist() == [[0, 11, 12, 2]]
        assert tokens("", 77).tolist() == [[0, 2]]
    file.write_text("{}")
    with pytest.raises(MMBenchError, match=r"does not hold RoBERTa's vocabulary"):
        RobertaTokens(file)


def text(*embedding: float) -> Features:
    return {"embedding": np.array(embedding)}


def sound(*embedding: float, silent: bool = False) -> Features:
    return {"embedding": np.array(embedding), "silent": np.array(silent)}


def test_the_score_and_its_baseline_over_other_prompts() -> None:
    metric = Clap(weights="random")
    texts: list[Features | None] = [text(1, 0), text(1, 0), text(0, 1), None, text(0, 1)]
    sounds: list[Features | None] = [sound(1, 0), sound(0, 1, silent=True), sound(0.6, 0.8), sound(1, 0), None]
    score = metric.score({metric.text.name: texts, metric.audio.name: sounds}, None, seed=1)
    np.testing.assert_allclose(score.per_sample, [1, 0, 0.8, np.nan, np.nan])  # type: ignore[arg-type]
    assert (score.value, score.num_scored) == (pytest.approx(0.6), 3)
    # of three samples two share a prompt: only pairs of one of them with the third differ
    assert score.baseline is not None
    assert 0 <= score.baseline <= 1
    assert score.details["silent"] == 1
    assert estimate_excess(score).value == pytest.approx(score.value - score.baseline)


def test_prompts_that_are_all_alike_have_no_baseline() -> None:
    metric = Clap(weights="random")
    table = {metric.text.name: [text(1, 0)] * 3, metric.audio.name: [sound(1, 0)] * 3}
    score = metric.score(table, None, seed=0)
    assert (score.value, score.baseline, score.shuffled) == (1, None, None)
    nothing = metric.score({metric.text.name: [None], metric.audio.name: [sound(1, 0)]}, None, seed=0)
    assert np.isnan(nothing.value)
    assert nothing.num_scored == 0


def test_presets_run_side_by_side_and_unknown_ones_do_not() -> None:
    metrics = [make_metric(f"clap.{variant}", weights="random") for variant in PRESETS]
    assert len(distinct_extractors(metrics)) == 4
    assert {name for m in metrics for e in m.extractors() for name in e.official} <= set(KNOWN)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="one of avbench_8s, javisbench"):
        Clap("fused")
