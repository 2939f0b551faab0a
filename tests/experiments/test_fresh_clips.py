"""Real training pairs that are cut anew in every epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from mmbench.errors import MediaError
from mmbench.experiments.training.fresh_clips import CutsAnywhere, FreshClips
from mmbench.mmdisco import training
from mmbench.mmdisco.batches import Batches
from mmbench.mmdisco.noising import Noising

STARTS = {"a": 5, "b": 2, "c": 1}  # frames at which a clip of each video may begin


class Videos:
    """A dataset whose items are (video, start)."""

    def every_clip(self, seed: int) -> tuple[Sequence[Any], int]:
        turns = [(name, k) for k in range(5) for name, n in STARTS.items() if k < n]
        return turns, len(STARTS)


def example(item: Any) -> tuple[Any, ...]:
    name, start = item
    return torch.tensor([float(ord(name))]), torch.tensor([float(start)]), None, None


CLIPS = FreshClips(Videos(), example, 0, "fresh")


def seen(epochs: range) -> Counter[tuple[float, ...]]:
    pairs = [CLIPS.in_epoch(index, epoch) for epoch in epochs for index in range(len(CLIPS))]
    return Counter((float(video), float(audio)) for video, audio, *_ in pairs)


def test_two_epochs_of_a_video_begin_at_other_frames_until_all_were_seen() -> None:
    assert isinstance(Videos(), CutsAnywhere)
    assert len(CLIPS) == 3
    assert not seen(range(1)) & seen(range(1, 2))
    assert seen(range(8)) == dict.fromkeys(seen(range(8)), 3), "8 epochs of 3 are each of the 8 clips three times"
    assert len(seen(range(8))) == sum(STARTS.values())


def test_batches_ask_for_the_epoch_that_a_step_is_in_whenever_they_are_made() -> None:
    batches = Batches(CLIPS, CLIPS, 0, 3, Noising(100, 0.0))
    starts = [batches[step][0].sample[1].flatten().tolist() for step in range(3)]
    assert len({tuple(sorted(x)) for x in starts}) == 3
    again = Batches(CLIPS, CLIPS, 0, 3, Noising(100, 0.0))
    assert again[2][0].sample[1].flatten().tolist() == starts[2]


class Broken:
    """A dataset of which some videos cannot be decoded."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def every_clip(self, seed: int) -> tuple[Sequence[Any], int]:
        names = self.names

        class Items(list[Any]):
            def __getitem__(self, place: Any) -> Any:
                if (item := super().__getitem__(place))[0] in names:
                    raise MediaError(f"{item[0]} is damaged at frame {item[1]}.")
                return item

        turns, videos = Videos().every_clip(seed)
        return Items(turns), videos


def test_a_clip_that_cannot_be_decoded_is_named_once_and_the_next_one_taken(caplog: pytest.LogCaptureFixture) -> None:
    clips = FreshClips(Broken("b"), example, 0, "fresh")
    pairs = [tuple(map(float, clips.in_epoch(i, epoch)[:2])) for epoch in range(8) for i in range(3)]
    assert {chr(int(video)) for video, _ in pairs} == {"a", "c"}
    whole = [tuple(map(float, CLIPS.in_epoch(i, epoch)[:2])) for epoch in range(8) for i in range(3)]
    assert all(a == b for a, b in zip(pairs, whole, strict=True) if b[0] != ord("b")), "the others are what they were"
    assert sorted(caplog.messages) == [
        f"Not trained on, the next clip is taken instead: b is damaged at frame {frame}." for frame in (0, 1)
    ]


def test_clips_of_the_longest_video_that_follow_each_other_are_all_passed_over() -> None:
    clips = FreshClips(Broken("a"), example, 0, "fresh")
    pairs = [tuple(map(float, clips.in_epoch(i, epoch)[:2])) for epoch in range(8) for i in range(3)]
    assert {chr(int(video)) for video, _ in pairs} == {"b", "c"}
    assert chr(int(clips.in_epoch(2, 1)[0])) == "b", "after the last clip come those of the beginning"


def test_without_any_clip_that_can_be_decoded_the_training_ends_with_the_reason() -> None:
    with pytest.raises(MediaError, match="is damaged"):
        FreshClips(Broken("a", "b", "c"), example, 0, "fresh").in_epoch(0, 0)


@pytest.mark.parametrize(("device", "cpu", "chosen"), [("cpu", True, []), ("cuda:1", False, [1]), ("cuda", False, [])])
def test_the_discriminator_is_trained_where_the_base_models_are(
    device: str, cpu: bool, chosen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", asked.append)
    monkeypatch.setattr(training, "Accelerator", lambda **given: given)
    assert training._accelerator(device) == {"cpu": cpu}
    assert asked == chosen
