"""Presets in bfloat16: other extractors, other signatures, near float32 and never taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmbench.checks.verification.extractor_checks import check_extractor
from mmbench.checks.verification.ladders import Material
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.metrics.extractors.i3d import I3DExtractor
from mmbench.metrics.extractors.imagebind import ImageBindAudio, ImageBindText, ImageBindTower, ImageBindVideo
from mmbench.metrics.fvd import FVD
from mmbench.metrics.imagebind import IBAV, IBTA, IBTV
from mmbench.types import Clip, Features, distinct_extractors
from tests.builders import MadeSource, clip

pytest_plugins = ("tests.verify_material",)  # its fixture `material`

METRICS = (FVD, IBTV, IBTA, IBAV)
TOWERS = (ImageBindVideo, ImageBindAudio, ImageBindText)
EPSILON = 2**-8  # of bfloat16, by which one rounding moves a number at most


def inputs_of(kind: type[ImageBindTower]) -> Sequence[Any]:
    return ["a dog barks", "rain"] if kind is ImageBindText else [clip(seed, 16, 32, 32000) for seed in range(2)]


def relative_error(exact: Sequence[Features], half: Sequence[Features]) -> float:
    a, b = (np.stack([f["embedding"] for f in side]).astype(np.float64) for side in (exact, half))
    return float(np.linalg.norm(b - a) / np.linalg.norm(a))


@pytest.mark.parametrize("kind", TOWERS)
def test_a_tower_in_bfloat16_is_near_the_one_in_float32_and_not_equal(kind: type[ImageBindTower]) -> None:
    exact, half = (kind("random", device="cpu", precision=p).extract(inputs_of(kind)) for p in ("ieee", "bfloat16"))
    assert half[0]["embedding"].dtype == np.float32
    assert EPSILON / 100 < relative_error(exact, half) < 10 * EPSILON


def test_a_tower_in_float32_is_untouched_by_one_in_bfloat16_beside_it() -> None:
    inputs = inputs_of(ImageBindVideo)
    before = ImageBindVideo("random", device="cpu").extract(inputs)
    half = ImageBindVideo("random", device="cpu", precision="bfloat16")
    half.extract(inputs)
    exact = ImageBindVideo("random", device="cpu")
    np.testing.assert_array_equal(exact.extract(inputs)[0]["embedding"], before[0]["embedding"])
    assert exact.network is not half.network


@pytest.mark.e2e
@pytest.mark.thorough
def test_i3d_in_bfloat16_has_weights_by_channel_and_gives_float32_logits_near_those_of_float32() -> None:
    video = [Clip(clip(0, 9, 24).video, 8.0, np.zeros(0, np.float32), 16000)]
    exact, half = (I3DExtractor("random", device="cpu", num_frames=9, precision=p) for p in ("ieee", "bfloat16"))
    by_channel = [
        e.network.Conv3d_2c_3x3.conv3d.weight.is_contiguous(memory_format=torch.channels_last_3d) for e in (exact, half)
    ]
    assert by_channel == [False, True]
    a, b = (e.extract(video)[0]["logits"] for e in (exact, half))
    assert b.dtype == np.float32
    assert 0 < np.linalg.norm(b - a) < 10 * EPSILON * np.linalg.norm(a)


@pytest.mark.parametrize("metric", METRICS)
def test_a_preset_shares_no_extractor_and_no_features_with_float32(metric: Any, tmp_path: Path) -> None:
    exact, half = (metric(variant, weights="random", device="cpu") for variant in metric.variants)
    names = [{e.name for e in m.extractors()} for m in (exact, half)]
    assert names[1] == {f"{name}_bfloat16" for name in names[0]}
    assert len(distinct_extractors([exact, half])) == 2 * len(exact.extractors())
    cache = FeatureCache(tmp_path)
    assert not {id(cache.shelf(e)) for e in exact.extractors()} & {id(cache.shelf(e)) for e in half.extractors()}
    for e in exact.extractors():
        assert "precision" not in e.spec(), "features of before keep their identity"
    for e in half.extractors():
        assert e.spec()["precision"] == "bfloat16"


def test_both_presets_in_one_evaluation_keep_their_own_values() -> None:
    metrics = [IBAV(variant, weights="random", device="cpu") for variant in IBAV.variants]
    samples: list[Sample | None] = [Sample(MadeSource(i), "") for i in range(6)]
    found = extract(samples, distinct_extractors(metrics), FeatureCache(None), workers=1)
    exact, half = (m.score(found.features, None, 0).per_sample for m in metrics)
    assert exact is not None
    assert half is not None
    assert (exact != half).all()
    np.testing.assert_allclose(half, exact, atol=0.05)


def test_verify_asks_no_float32_of_it(material: Material) -> None:
    def rows(precision: Any) -> dict[str, str]:
        def build(device: str) -> ImageBindAudio:
            return ImageBindAudio("random", device="cpu", precision=precision)

        return {r["check"]: r["status"] for r in check_extractor(build("cpu"), build, "ib_av", material)}

    assert rows("bfloat16") == {"batch independence": "pass", "determinism": "pass", "exact float32": "skipped"} | {
        "CPU and GPU agree": rows("ieee")["CPU and GPU agree"]
    }
    assert rows("ieee")["exact float32"] == "pass"
