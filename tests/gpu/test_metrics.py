"""Feature networks on a device against the CPU, at random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmbench.metrics.extractors.bounce import BounceAudio, BounceVideo
from mmbench.metrics.extractors.i3d import I3DExtractor
from mmbench.metrics.extractors.imagebind import ImageBindAudio, ImageBindVideo
from mmbench.metrics.extractors.vggish import VGGishExtractor
from mmbench.registry import make_dataset
from tests.gpu.conftest import Place

NETWORKS: dict[str, Any] = {
    "bounce_video": lambda device: BounceVideo(device=device),
    "bounce_audio": lambda device: BounceAudio(device=device),
    "vggish": lambda device: VGGishExtractor("random", device=device),
    "i3d": lambda device: I3DExtractor("random", device=device),
    "imagebind_video": lambda device: ImageBindVideo("random", device=device),
    "imagebind_audio": lambda device: ImageBindAudio("random", device=device),
}
SMALL = ("bounce_video", "bounce_audio", "vggish")  # those that a CPU is asked for in every test run
LIMIT = 1e-3  # of the norm: another order of sums in float32, through tens of layers


@pytest.mark.e2e
@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_those_of_the_cpu(name: str, place: Place) -> None:
    if place.device == "cpu" and name not in SMALL:
        pytest.skip("a full-size network twice on a CPU tells nothing")
    clips = [item.clip for item in make_dataset("bounce").reference(2, 0)]
    here, there = (NETWORKS[name](device).extract(clips) for device in (place.device, "cpu"))
    errors = []
    for a, b in zip(here, there, strict=True):
        for entry in b:
            errors.append(float(np.linalg.norm(a[entry] - b[entry]) / max(np.linalg.norm(b[entry]), 1e-12)))
    place.figures["largest error over norm"] = max(errors)
    assert max(errors) < LIMIT
