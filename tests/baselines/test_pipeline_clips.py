"""Real clips brought to what pipelines make, and what they make brought to a dataset's format."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mmbench.baselines.models.pipelines import clips
from mmbench.baselines.models.pipelines.clips import encode_clip, to_clip
from mmbench.baselines.models.pipelines.views import View
from mmbench.errors import MediaError, UsageError
from mmbench.types import Clip, ClipFormat

FORMAT = ClipFormat(4, 8, 8, 4.0, 16, 16)


class Pipe:
    """A pipeline that is only asked for its arguments."""

    def __call__(self, num_frames: int | None = None, height: int = 8, width: int = 8) -> None: ...


def model(rate: float, *shape: int, **call: Any) -> Any:
    """Half of a pair whose latents have a shape."""
    return SimpleNamespace(pipe=Pipe(), call=call, rate=rate, shape=shape, view=View())


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What encoders were given; latents are one number for each frame and sample."""
    given: list[Any] = []

    def keep(pipe: Any, media: np.ndarray, *rest: Any) -> torch.Tensor:
        given.append(media)
        return torch.zeros(len(media))

    monkeypatch.setattr(clips, "encode_video", keep)
    monkeypatch.setattr(clips, "encode_audio", keep)
    return given


def clip(num_frames: int = 4, fps: float = 4.0) -> Clip:
    """Frame i is as bright as i; one second of sound at 16 Hz."""
    frames = np.broadcast_to(np.arange(num_frames, dtype=np.uint8)[:, None, None, None], (num_frames, 16, 16, 3))
    return Clip(np.ascontiguousarray(frames), fps, np.zeros(16, np.float32), 16)


def test_the_last_picture_stays_on_screen_for_as_long_as_it_would(encoded: list[Any]) -> None:
    encode_clip(clip(), model(8, 9, num_frames=9), model(16, 16))
    assert encoded[0].shape == (9, 8, 8, 3)
    assert encoded[0][:, 0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    encode_clip(clip(), model(4, 3, num_frames=3), model(16, 16))
    assert encoded[2][:, 0, 0, 0].tolist() == [0, 1, 2], "what is longer is cut"


def test_what_a_clip_lacks_is_said(encoded: list[Any]) -> None:
    with pytest.raises(UsageError, match="8 frames at 8 1/s") as raised:
        encode_clip(clip(), model(8, 13, num_frames=13), model(16, 16))
    assert raised.value.next == "a smaller num_frames in its call, or fps = 13"
    encode_clip(clip(), model(13, 13, num_frames=13), model(16, 16))
    with pytest.raises(UsageError, match=r"Pipe makes latents \(20,\); those of a clip are \(16,\)"):
        encode_clip(clip(), model(4, 4, num_frames=4), model(16, 20))
    with pytest.raises(UsageError, match="leaves num_frames open"):
        encode_clip(clip(), model(4, 4), model(16, 16))


def test_sound_of_another_length_than_is_seen_is_refused(encoded: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "sound_grid", lambda pipe: (16, 4))
    video, audio = model(4, 4, num_frames=4), model(16, 16)
    audio.view = View(start=2, stop=6)
    encode_clip(clip(), video, audio)
    audio.view = View(start=2, stop=5)
    with pytest.raises(UsageError, match="3 steps of sound are seen, and those of a clip are 4"):
        encode_clip(clip(), video, audio)


def test_what_pipelines_return_becomes_a_clip_of_the_format() -> None:
    video = SimpleNamespace(frames=np.full((1, 5, 16, 16, 3), 0.5, np.float32))
    stereo = np.stack([np.full(40, 0.25), np.full(40, 0.75)])[None].astype(np.float32)
    made = to_clip(video, SimpleNamespace(audios=stereo), 4, 32, FORMAT)
    assert made.size() == FORMAT.size()
    assert made.video.max() == made.video.min() == 128
    assert made.audio[8] == pytest.approx(0.5, abs=0.01), "the mean of both channels"
    assert [step.partition(" ")[0] for step in made.notes["steps"]] == ["sample", "frames", "size", "samples"]
    with pytest.raises(MediaError, match="too short"):
        to_clip(SimpleNamespace(frames=video.frames[:, :3]), SimpleNamespace(audios=stereo), 4, 32, FORMAT)
