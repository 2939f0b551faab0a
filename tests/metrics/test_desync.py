"""DeSync: lengths, windows, formulas, the shuffled baseline, what is told beside the value, and a whole job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.metrics.arithmetic import offsets
from mmbench.metrics.desync import PRESETS, DeSync
from mmbench.metrics.extractors.synchformer import Pair, SynchformerAudio, SynchformerVideo
from mmbench.metrics.networks.synchformer_segments import Stretch
from mmbench.registry import lookup, make_metric
from mmbench.statistics.excess import estimate_excess
from mmbench.statistics.shuffled import derangements
from mmbench.types import Clip, Features, FeatureTable, distinct_extractors

RATE = 16000
NEEDED = {"avbench_8s": 4.8, "javisbench_4s_loop": 3.84, "center_5s_expectation": 4.88, "signed": 4.88}


def clip(frames: int, seconds: float | None = None, fps: float = 25.0, seed: int = 0) -> Clip:
    """Noise; its sound is as long as its picture unless `seconds` says otherwise."""
    rng = np.random.default_rng(seed)
    video = rng.integers(0, 256, (frames, 24, 32, 3), dtype=np.uint8)
    samples = round((frames / fps if seconds is None else seconds) * RATE)
    return Clip(video, fps, (0.1 * rng.standard_normal(samples)).astype(np.float32), RATE)


def stub(metric: DeSync) -> None:
    """Give a metric a head that names the offset by which the number that video carries exceeds that of sound."""

    def logits(pairs: Iterable[Pair]) -> np.ndarray:
        rows = [(video[0, 0, 0] - sound[0, 0, 0]) for video, sound in pairs]
        return np.stack([-10 * (offsets.GRID - row) ** 2 for row in rows]).astype(np.float32)

    metric.head.logits = logits  # type: ignore[method-assign]


def carry(value: float, segments: int = 24, **others: np.ndarray) -> Features:
    """Features of a clip's half whose segments all carry one number."""
    return {"segments": np.full((segments, 8, 2), value, np.float32), **others}


def table(metric: DeSync, video: list[Features | None], sound: list[Features | None]) -> FeatureTable:
    return {metric.video.name: video, metric.audio.name: sound}


def sound(value: float, segments: int = 24, silent: bool = False) -> Features:
    return carry(value, segments, silent=np.array(silent))


@dataclass
class Source:
    """A clip in memory."""

    id: str
    clip: Clip
    digest: str = ""

    def load(self) -> Clip:
        return self.clip


def test_the_record_gets_the_reason() -> None:
    metric = DeSync(weights="random")
    clips = {"long": clip(130), "short": clip(50), "mute": clip(130, 0.0), "soon silent": clip(130, 2.0)}
    samples: list[Sample | None] = [Sample(Source(name, c), "") for name, c in clips.items()]
    found = extract(samples, metric.extractors(), FeatureCache(None))
    score = metric.score(found.features, None, seed=0)
    assert score.num_scored == 1
    needs = "and Synchformer needs 4.8 s, 14 segments of 0.64 s every 0.32 s."
    assert found.reasons == {
        ("synchformer_video_8s", 1): f"The picture lasts 2.00 s, {needs}",
        ("synchformer_audio_8s", 1): f"The sound lasts 2.00 s, {needs}",
        ("synchformer_audio_8s", 2): "The clip has no audio.",
        ("synchformer_audio_8s", 3): f"The sound lasts 2.00 s, {needs}",
    }


@pytest.mark.parametrize("variant", PRESETS)
def test_a_short_half_is_refused_with_the_length_needed(variant: str) -> None:
    need = NEEDED[variant]
    metric = DeSync(variant, weights="random")
    enough = clip(round(need * 25))
    assert metric.min_seconds == pytest.approx(need)  # with which a job refuses a dataset's clips before any work
    for half, word in ((metric.video, "picture"), (metric.audio, "sound")):
        (features,) = half.extract([enough])
        assert len(features["segments"]) == metric.preset.stretch.fewest
        short = clip(round(need * 25) - 1)
        with pytest.raises(MMBenchError, match=f"The {word} lasts {need - 0.04:.2f} s, .* needs {need:g} s, "):
            half.extract([short])
    with pytest.raises(MMBenchError, match="no audio"):
        metric.audio.extract([clip(200, 0.0)])


def test_no_more_is_looked_at_than_a_preset_says() -> None:
    longest = {"avbench_8s": 24, "javisbench_4s_loop": 11, "center_5s_expectation": 14, "signed": 14}
    for variant, segments in longest.items():
        metric = DeSync(variant, weights="random")
        for half in metric.extractors():
            (features,) = half.extract([clip(260)])
            assert len(features["segments"]) == segments


def test_the_middle_of_five_seconds_begins_at_its_third_frame() -> None:
    first, centred = (SynchformerVideo(Stretch(5, first_frame=k), "random") for k in (0, 2))
    whole = clip(130)
    later = Clip(whole.video[2:], 25.0, whole.audio[2 * RATE // 25 :], RATE)
    np.testing.assert_array_equal(centred.extract([whole])[0]["segments"], first.extract([later])[0]["segments"][:14])
    heard, heard_centred = (SynchformerAudio(Stretch(5, first_frame=k), "random") for k in (0, 2))
    a, b = heard_centred.extract([whole])[0]["segments"], heard.extract([later])[0]["segments"]
    np.testing.assert_allclose(a, b[:14], atol=1e-5)


@pytest.mark.parametrize("fps", [8.0, 24.0, 30000 / 1001])
def test_other_frame_rates_repeat_or_drop_frames(fps: float) -> None:
    tower = SynchformerVideo(Stretch(5), "random")
    source = clip(round(5.2 * fps), fps=fps)
    due = [int(k * 25 / fps + 0.5) for k in range(len(source.video))]
    shown = [max(k for k, when in enumerate(due) if when <= n) for n in range(125)]
    plain = Clip(source.video[shown], 25.0, source.audio, RATE)
    np.testing.assert_array_equal(tower.extract([source])[0]["segments"], tower.extract([plain])[0]["segments"])


def test_windows() -> None:
    assert offsets.first_and_last(24) == [list(range(14)), list(range(10, 24))]
    assert offsets.first_and_last(14) == [list(range(14))]
    assert offsets.looped(11) == [[*range(11), 0, 1, 2]]
    assert offsets.looped(5) == [[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3]]
    assert [(w[0], w[-1]) for w in offsets.looped(30)] == [(0, 13), (14, 27), (16, 29)]
    assert [(w[0], w[-1]) for w in offsets.looped(28)] == [(0, 13), (14, 27)]


def test_one_answer_is_three_numbers() -> None:
    logits = np.full((1, 21), -30.0)
    logits[0, [0, 20]] = [0.1, 0.0]  # -2 s or 2 s
    values = {name: float(preset.formula(logits)[0]) for name, preset in PRESETS.items()}
    assert values["avbench_8s"] == values["javisbench_4s_loop"] == 2.0
    assert values["signed"] == -2.0
    assert values["center_5s_expectation"] == pytest.approx(0.1, abs=1e-3)
    assert offsets.argmax_offsets(np.zeros((1, 21))) == -2.0  # the first of equal ones
    assert pytest.approx(22 / 21) == offsets.CHANCE


def test_value_baseline_and_details() -> None:
    metric = DeSync(weights="random")
    stub(metric)
    video: list[Features | None] = [carry(0.4), None, carry(-0.2), carry(0.2), carry(1.0)]
    heard: list[Features | None] = [sound(0.0), sound(0.0), sound(0.0, silent=True), sound(0.0), None]
    score = metric.score(table(metric, video, heard), None, seed=3)
    np.testing.assert_allclose(score.per_sample, [0.4, np.nan, 0.2, 0.2, np.nan], atol=1e-6)  # type: ignore[arg-type]
    assert (score.num_scored, score.value) == (3, pytest.approx(0.8 / 3))
    assert score.details["bias"] == pytest.approx(0.4 / 3)
    assert score.details["within_0.2s"] == pytest.approx(2 / 3)
    assert score.details["silent"] == 1
    assert np.sum(score.details["distribution"]) == pytest.approx(1)
    assert score.baseline == pytest.approx(score.value)  # all sounds are alike, so shuffling changes nothing
    assert estimate_excess(score).value == pytest.approx(0)


def test_the_baseline_pairs_videos_with_sounds_of_other_clips() -> None:
    metric = DeSync(weights="random")
    stub(metric)
    places = [-0.8, -0.2, 0.4, 0.8]
    score = metric.score(table(metric, [carry(x) for x in places], [sound(x) for x in places]), None, seed=5)
    assert (score.value, score.details["within_0.2s"]) == (0.0, 1.0)
    partner = derangements(4, 8, 5)
    expected = np.mean([[abs(places[i] - places[j]) for i, j in enumerate(p)] for p in partner])
    assert score.baseline == pytest.approx(expected, abs=1e-6)
    assert estimate_excess(score).value == pytest.approx(-expected, abs=1e-6)


def test_halves_of_unequal_length_are_judged_by_what_both_have() -> None:
    metric = DeSync(weights="random")
    seen: list[tuple[float, float]] = []

    def logits(pairs: Iterable[Pair]) -> np.ndarray:
        seen.extend((float(v[0, 0, 0]), float(s[0, 0, 0])) for v, s in pairs)
        return np.zeros((len(seen), 21), np.float32)

    metric.head.logits = logits  # type: ignore[method-assign]
    numbered = np.arange(24, dtype=np.float32)[:, None, None] * np.ones((1, 8, 2), np.float32)
    heard = {"segments": numbered[:18], "silent": np.array(False)}
    metric.score(table(metric, [{"segments": numbered}], [heard]), None, seed=0)
    assert seen == [(0, 0), (4, 4)]  # not the last 14 of each


def test_nothing_to_score() -> None:
    metric = DeSync(weights="random")
    score = metric.score(table(metric, [None], [sound(0.0)]), None, seed=0)
    assert np.isnan(score.value)
    assert (score.num_scored, score.baseline) == (0, None)


def test_a_value_does_not_depend_on_what_is_scored_beside_it() -> None:
    metric = DeSync(weights="random")
    rng = np.random.default_rng(0)
    videos, sounds = (rng.standard_normal((5, 14, steps, 24)).astype(np.float32) for steps in (8, 6))
    pairs = list(zip(videos, sounds, strict=True))
    whole = metric.head.logits(pairs)
    np.testing.assert_array_equal(metric.head.logits(pairs[3:]), whole[3:])
    assert whole.shape == (5, 21)
    assert np.ptp(whole, axis=0).max() > 0.1  # random weights, too, answer by the clip
    assert metric.head.logits([]).shape == (0, 21)


def test_presets_run_side_by_side_and_unknown_ones_do_not() -> None:
    metrics = [make_metric(f"desync.{variant}", weights="random") for variant in PRESETS]
    names = sorted(e.name for e in distinct_extractors(metrics))  # expectation and sign share one stretch
    assert names == sorted(f"synchformer_{half}_{s}s" for half in ("video", "audio") for s in (8, 4, 5))
    assert lookup("metric", "desync").factory is DeSync
    with pytest.raises(UsageError, match="one of avbench_8s"):
        DeSync("fastvideo")
