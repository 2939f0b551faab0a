"""Impacts as the dust shows them, beside the true ones."""

from __future__ import annotations

import numpy as np

from mmbench.datasets.bounce import bounce
from mmbench.datasets.bounce_world.seen_impacts import dust_cover, seen_impacts
from mmbench.types import Request

SEED = 8


def test_nine_in_ten_impacts_are_found_in_their_frame_and_hardly_anything_else() -> None:
    dataset = bounce()
    found = true = both = 0
    for prompt in dataset.prompts(64, SEED):
        item = dataset.real(Request(prompt, 0, SEED), "real")
        seen = {round(8 * end) for _, end in seen_impacts(item.clip.video, 8.0)}
        frames = {int(np.ceil(8 * time - 1e-9)) for time in item.truth["impact_times"]} & set(range(1, 16))
        found, true, both = found + len(seen), true + len(frames), both + len(seen & frames)
    assert true > 150
    assert both / found > 0.97
    assert both / true > 0.89


def test_a_still_video_has_no_dust_and_an_interval_is_one_frame_long() -> None:
    video = np.full((8, 16, 16, 3), 90, np.uint8)
    assert not dust_cover(video).any()
    assert seen_impacts(video, 4.0).shape == (0, 2)
    video[3] = 240
    np.testing.assert_array_equal(seen_impacts(video, 4.0), [[0.5, 0.75]])
