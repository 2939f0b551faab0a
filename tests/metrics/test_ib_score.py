"""IB-score: its frames and views, the length it needs, what it shares with ib_av, and its value."""

from __future__ import annotations

import gc
import weakref
from fractions import Fraction

import numpy as np
import pytest
import torch

from mmbench.errors import UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.metrics.ib_score import IBScore
from mmbench.metrics.imagebind import IBAV, cosine
from mmbench.metrics.networks.imagebind import SMALL, ImageBind
from mmbench.metrics.networks.imagebind_preprocess import mean_over_views
from mmbench.metrics.networks.pillow_views import consecutive_views, pictures, slow_frames
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.registry import lookup
from mmbench.statistics.excess import estimate_excess
from mmbench.types import Clip, Features, distinct_extractors
from tests.metrics.support import ClipInMemory, noise_clip


@pytest.mark.parametrize(
    ("fps", "frames", "shown"),
    [
        ("25", 200, [24, 74, 124, 174]),
        ("25", 300, [24, 74, 124, 174]),  # of 12 s the first 8
        ("30000/1001", 240, [29, 89, 149, 209]),
        ("8", 32, [7, 23]),
        ("16", 81, [15, 47]),  # 5.06 s hold two whole steps, though the filter shows three frames
        ("25", 99, [24]),
    ],
)
def test_frames_are_the_last_before_odd_seconds(fps: str, frames: int, shown: list[int]) -> None:
    assert slow_frames(frames, Fraction(fps)).tolist() == shown


def test_views_are_pairs_in_three_crops() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 30, 54, 3), dtype=np.uint8)
    views = consecutive_views(frames)
    assert views.data.shape == (9, 3, 2, 224, 224)
    assert torch.equal(views.data[0, :, 1], views.data[3, :, 0])  # the second frame, cut at the left
    assert torch.equal(views.data[4], torch.stack([pictures(frames)[1], pictures(frames)[2]], dim=1))  # the middle
    square = consecutive_views(frames[:, :, :30])
    assert square.first_equal == (0, 0, 0, 3, 3, 3, 6, 6, 6)
    tall = consecutive_views(frames.transpose(0, 2, 1, 3))
    assert not torch.equal(tall.data[0], tall.data[2])


def test_equal_views_are_computed_once_and_counted() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (4, 30, 30, 3), dtype=np.uint8)
    frames[2] = frames[1] = frames[0]
    once, every = consecutive_views(frames), consecutive_views(frames, deduplicate=False)
    assert (len(once.data), len(every.data)) == (2, 9)
    network = ImageBind(SMALL, ["vision"])
    fill_randomly(network, "")
    with exact_float32():
        a, b = (mean_over_views(network.embed_vision, [views], 4)[0] for views in (once, every))
    torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_the_value_is_the_cosine_and_a_short_clip_has_its_reason() -> None:
    metric = IBScore(weights="random")
    clips = {
        "a": noise_clip(32, seed=1),
        "b": noise_clip(36, seed=2),
        "short": noise_clip(31),
        "mute": noise_clip(32, 0),
    }
    samples: list[Sample | None] = [Sample(ClipInMemory(name, clip), "") for name, clip in clips.items()]
    found = extract(samples, metric.extractors(), FeatureCache(None))
    score = metric.score(found.features, None, seed=0)
    assert score.num_scored == 2
    assert score.per_sample is not None
    video, sound = (e.extract([clips["b"]])[0]["embedding"] for e in metric.extractors())
    assert score.per_sample[1] == pytest.approx(cosine(video, sound))
    assert np.isnan(score.per_sample[2:]).all()
    assert found.reasons == {
        ("imagebind_slow_video", 2): "The picture lasts 3.88 s, and IB-score needs 4 s, two frames 2 s apart.",
        ("imagebind_audio", 3): "The clip has no audio.",
    }
    assert metric.min_seconds == 4  # with which a job refuses a dataset of shorter clips before any work


def test_only_the_frames_that_are_shown_count() -> None:
    metric, clip = IBScore(weights="random"), noise_clip(64)
    changed = clip.video.copy()
    changed[np.setdiff1d(np.arange(64), [7, 23, 39, 55])] = 0
    other = Clip(changed, clip.fps, clip.audio, clip.sample_rate)
    (a,), (b,) = (metric.first.extract([x]) for x in (clip, other))
    np.testing.assert_array_equal(a["embedding"], b["embedding"])


def test_two_metrics_share_sounds_and_networks_while_they_live() -> None:
    ours, theirs = IBScore(weights="random", device="cpu"), IBAV(weights="random", device="cpu")
    names = [e.name for e in distinct_extractors([ours, theirs])]
    assert names == ["imagebind_slow_video", "imagebind_audio", "imagebind_video"]
    assert ours.first.network is theirs.first.network
    assert ours.second.network is theirs.second.network
    assert ours.first.network is not ours.second.network
    left = weakref.ref(theirs.first.network)
    del ours, theirs
    gc.collect()
    assert left() is None  # nothing else keeps them


def test_shuffled_pairs_stand_beside_the_value() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((20, 8)).astype(np.float32)
    video: list[Features | None] = [{"embedding": row} for row in rows]
    metric = IBScore(weights="random")
    score = metric.score({"imagebind_slow_video": video, "imagebind_audio": video}, None, seed=0)
    assert score.value == pytest.approx(1)
    assert score.baseline is not None
    assert abs(score.baseline) < 0.3
    assert estimate_excess(score).value == pytest.approx(1 - score.baseline)


def test_it_is_registered_with_one_variant() -> None:
    assert lookup("metric", "ib_score").factory is IBScore
    assert IBScore(weights="random").variant == "avbench"
    with pytest.raises(UsageError, match="one of avbench"):
        IBScore("official")
