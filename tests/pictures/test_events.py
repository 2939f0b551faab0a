"""What is marked in clips: onsets, impacts or peaks of motion, and what is known of real clips."""

from __future__ import annotations

import numpy as np

from mmbench.baselines.ground_truth import STREAM
from mmbench.datasets.bounce import bounce
from mmbench.pictures.events import find_events
from mmbench.types import Clip, Item, Request
from tests.media_files import clicks
from tests.pictures.drawn import events


def real(index: int, seed: int = 3) -> Item:
    dataset = bounce()
    return dataset.real(Request(dataset.prompts(index + 1, seed)[index], index, seed), STREAM)


def test_what_coincides() -> None:
    found = events(heard=(0.1, 0.52, 1.0), seen=((0.4, 0.5), (0.45, 0.6), (1.5, 1.6)))
    assert found.heard_in_time.tolist() == [False, True, False]
    assert found.seen_in_time.tolist() == [True, True, False], "an onset is reported up to 30 ms late"
    assert found.describe() == "1 of 3 sounds at impacts"
    assert events(seen=((0.1, 0.2),)).seen_in_time.tolist() == [False]
    assert events(heard=(0.1,)).describe() == "0 of 1 sounds at impacts"
    assert events().describe() == "no sound begins"


def test_sounds_of_real_clips_begin_at_true_impacts() -> None:
    for index in range(4):
        item = real(index)
        found = find_events(item.clip, "bounce", item.truth["impact_times"])
        late = found.heard[:, None] - found.known
        assert (np.abs(late).min(axis=1) < 0.05).all()
        assert found.kind == "impact"


def test_clips_of_other_datasets_are_marked_where_they_move() -> None:
    video = np.zeros((16, 64, 64, 3), np.uint8)
    for frame in range(16):
        x = 8 + 16 * (frame >= 4)
        video[frame, 20:40, x : x + 12] = 255
    found = find_events(Clip(video, 8.0, clicks([1.0], 2.0, 16000), 16000), "folder:/clips")
    assert found.kind == "peak of motion"
    assert any(start <= 0.5 <= end for start, end in found.seen)
    assert np.abs(found.heard - 1.0).min() < 0.05
    assert not len(find_events(Clip(video, 8.0, np.empty(0, np.float32), 16000)).heard)
