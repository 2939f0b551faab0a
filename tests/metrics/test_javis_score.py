"""JavisScore and AVHScore: windows, the frames that agree least, what is unscored, the shuffled baseline."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmbench.errors import UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.metrics.arithmetic.sliding_windows import least_agreement, paired_windows, sample_windows
from mmbench.metrics.extractors.imagebind_frames import ImageBindAudioWindows, ImageBindFrames
from mmbench.metrics.imagebind import cosine
from mmbench.metrics.javis_score import AVHScore, JavisScore
from mmbench.metrics.networks.imagebind_preprocess import audio_views
from mmbench.metrics.networks.pillow_views import pictures
from mmbench.networks.devices import exact_float32
from mmbench.registry import lookup
from mmbench.statistics.excess import estimate_excess
from mmbench.types import Clip, Features, FeatureTable, distinct_extractors
from tests.metrics.support import RATE, ClipInMemory, noise_clip


def test_windows_end_with_the_clip() -> None:
    shown, heard = paired_windows(100, 25.0, 64000)
    assert shown == [(0, 50), (13, 63), (26, 76), (39, 89), (50, 100)]  # the hop is 50 - 37
    assert heard[1:] == [(8000, 40000), (16000, 48000), (24000, 56000), (32000, 64000)]
    assert sample_windows(32001) == [(0, 32000), (1, 32001)]
    assert paired_windows(60, 10.0, 40000)[0] == [(0, 20), (5, 25)]  # as many as the shorter half has


def test_one_window_is_all_of_both_halves() -> None:
    assert paired_windows(16, 8.0, 64000) == ([(0, 16)], [(0, 64000)])
    assert paired_windows(80, 8.0, 32000) == ([(0, 80)], [(0, 32000)])


def test_the_frames_that_agree_least() -> None:
    assert least_agreement([np.array([0.9, 0.1, 0.5, 0.3, 0.7])]) == pytest.approx(0.2)
    assert least_agreement([np.array([0.9, 0.1, 0.5]), np.array([0.4, 0.6, 0.8])]) == pytest.approx(0.25)
    assert np.isnan(least_agreement([np.array([0.9, 0.1])]))
    assert np.isnan(least_agreement([]))


def test_every_frame_is_a_picture_and_equal_ones_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = noise_clip(20)
    clip.video[7] = clip.video[3]
    tower, seen = ImageBindFrames("random", device="cpu"), []
    embed = tower.network.embed_vision
    monkeypatch.setattr(tower.network, "embed_vision", lambda x: (seen.append(len(x)), embed(x))[1])
    (features,) = tower.extract([clip])
    assert (seen, features["frames"].shape, float(features["fps"])) == ([16, 3], (20, 20), 8.0)
    np.testing.assert_array_equal(features["frames"][7], features["frames"][3])
    with exact_float32():
        alone = embed(pictures(clip.video[[12]]))[0]
    torch.testing.assert_close(torch.from_numpy(features["frames"][12]), alone, atol=1e-5, rtol=0)


def test_windows_of_sound_are_centred_in_place() -> None:
    clip = noise_clip(24)
    clip.audio[: RATE // 2] += 0.5  # a mean that the first window alone has
    tower = ImageBindAudioWindows("random", device="cpu")
    (features,) = tower.extract([clip])
    assert (features["windows"].shape, int(features["samples"])) == ((3, 20), 48000)
    second = clip.audio[8000:40000].astype(np.float64)
    second[:24000] -= clip.audio[:32000].mean(dtype=np.float64)
    with exact_float32():
        rows = [tower.network.embed_audio(audio_views(x, RATE).data)[0] for x in (second, clip.audio[8000:40000])]
    np.testing.assert_allclose(features["windows"][1], rows[0], atol=1e-5)
    assert not np.allclose(rows[0], rows[1], atol=1e-3)


def table(metric: JavisScore | AVHScore, *columns: list[Features | None]) -> FeatureTable:
    return dict(zip([e.name for e in metric.extractors()], columns, strict=True))


def test_a_clip_of_one_window_is_heard_whole() -> None:
    metric, clip = JavisScore(weights="random", device="cpu"), noise_clip(16, seconds=4)
    features = [e.extract([clip])[0] for e in metric.extractors()]
    cosines = np.sort(cosine(features[0]["frames"], features[2]["embedding"]))
    score = metric.score(table(metric, *([f] for f in features)), None, seed=0)
    assert score.value == pytest.approx(cosines[:6].mean())
    assert score.value < AVHScore(weights="random").judge(features[0], features[2])


def test_values_reasons_and_what_is_unscored() -> None:
    clips = {
        "a": noise_clip(24, seed=1),
        "b": noise_clip(20, seed=2),
        "slow": noise_clip(4, fps=1.4),
        "mute": noise_clip(24, 0),
    }
    samples: list[Sample | None] = [Sample(ClipInMemory(name, clip), "") for name, clip in clips.items()]
    metrics = JavisScore(weights="random", device="cpu"), AVHScore(weights="random", device="cpu")
    assert len(distinct_extractors(metrics)) == 3
    found = extract(samples, distinct_extractors(metrics), FeatureCache(None))
    javis, avh = (metric.score(found.features, None, seed=0) for metric in metrics)
    assert (javis.num_scored, javis.num_unscored, avh.num_scored, avh.num_unscored) == (2, 1, 3, 0)
    assert javis.reasons == {2: "A window of 2 s holds fewer than three frames, of which 40 % are none."}
    assert {i for _, i in found.reasons} == {3}
    assert set(found.reasons.values()) == {"The clip has no audio."}
    assert javis.per_sample is not None
    frames, windows = found.features["imagebind_frames"][0], found.features["imagebind_audio_windows"][0]
    assert frames is not None
    assert windows is not None
    rows = [np.sort(cosine(frames["frames"][4 * k : 4 * k + 16], windows["windows"][k]))[:6] for k in range(3)]
    assert javis.per_sample[0] == pytest.approx(np.mean(rows))
    for score in (javis, avh):
        assert score.baseline is not None
        assert estimate_excess(score).value == pytest.approx(score.value - score.baseline)


def test_the_baseline_hears_other_clips() -> None:
    metric, basis = AVHScore(weights="random"), np.eye(4, dtype=np.float32)
    frames: list[Features | None] = [{"frames": np.stack([row] * 5), "fps": np.array(8.0)} for row in basis]
    sounds: list[Features | None] = [{"embedding": 20 * row} for row in basis]
    score = metric.score(table(metric, frames, sounds), None, seed=0)
    assert (score.value, score.baseline) == (pytest.approx(1), pytest.approx(0))


def test_nothing_to_score_and_unknown_variants() -> None:
    for name, metric in (("javis_score", JavisScore), ("avh_score", AVHScore)):
        made = metric(weights="random")
        score = made.score(table(made, *([None] for _ in made.extractors())), None, seed=0)
        assert (np.isnan(score.value), score.num_scored, score.baseline) == (True, 0, None)
        assert lookup("metric", name).factory is metric
        with pytest.raises(UsageError, match="one of javisbench"):
            metric("paper")


def test_features_do_not_depend_on_the_batch() -> None:
    clips = [noise_clip(18, seed=i) for i in range(2)]
    for tower, name in ((ImageBindFrames, "frames"), (ImageBindAudioWindows, "windows")):
        extractor = tower("random", device="cpu")
        for clip, together in zip(clips, extractor.extract(clips), strict=True):
            alone = extractor.extract([Clip(clip.video, clip.fps, clip.audio, RATE)])[0]
            np.testing.assert_allclose(alone[name], together[name], atol=1e-5)
