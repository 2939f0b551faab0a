"""JavisBench's CLIP-SIM against the official implementation."""

from __future__ import annotations

import numpy as np

from mmbench.metrics.networks.clip import mean_direction, shown_frames
from mmbench.metrics.networks.pillow_views import pictures
from tests.conformance.harness import Fixture, runner


@runner("clip_sim_javis")
def clip_sim_javis(fixture: Fixture) -> None:
    for num_frames, indices in fixture.config["frame_indices"].items():
        assert shown_frames(int(num_frames)).tolist() == indices, num_frames
    pixels = pictures(np.ascontiguousarray(fixture.array("frames")[..., ::-1]))
    y, rows, x, columns = fixture.stated("grid", r"rows (\d+)::(\d+), columns (\d+)::(\d+)", (3, 8, 5, 8))
    fixture.check("grid", pixels[:, :, y::rows, x::columns])
    fixture.check("mean", pixels.double().mean((2, 3)))
    video = mean_direction(fixture.input("image_features"))
    text = mean_direction(fixture.input("text_features")[:, None])
    fixture.check("scores", (video * text).sum(-1))
    assert set(fixture.checked) == set(fixture.config["outputs"])
