"""Arrays as clips: what a layout or range cannot tell is refused with what to change, and nothing is altered."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from mmbench.api.arrays import make_clip
from mmbench.api.clips import Clips, make_clips
from mmbench.errors import NonFiniteError, UsageError
from tests.builders import clip

VIDEO = np.random.default_rng(0).integers(0, 256, (5, 8, 10, 3), np.uint8)
AUDIO = np.random.default_rng(1).integers(-32768, 32768, 400).astype(np.int16)


def pixels(video: Any) -> np.ndarray:
    return make_clip(video, AUDIO, 8, 16000, 0).video


def sound(audio: Any) -> np.ndarray:
    return make_clip(VIDEO, audio, 8, 16000, 0).audio


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, torch.float32, torch.bfloat16, torch.uint8])
def test_pixels_of_every_type_are_those_given(dtype: Any) -> None:
    if dtype is torch.bfloat16:
        tensor = torch.tensor(VIDEO / 255).to(dtype)
        assert np.array_equal(pixels(tensor), np.rint(tensor.float().numpy() * 255))
    elif dtype is torch.uint8:
        assert np.array_equal(pixels(torch.tensor(VIDEO)), VIDEO)
    elif dtype is torch.float32:
        assert np.array_equal(pixels((torch.tensor(VIDEO) / 255).requires_grad_()), VIDEO)
    else:
        assert np.array_equal(pixels((VIDEO / 255).astype(dtype)), VIDEO)


@pytest.mark.parametrize("axis", [0, 1])
def test_colours_before_height_are_understood(axis: int) -> None:
    assert np.array_equal(pixels(np.moveaxis(VIDEO, -1, axis)), VIDEO)


def test_sounds_are_those_of_a_16_bit_file() -> None:
    want = AUDIO / 32768
    assert sound(AUDIO).dtype == np.float32
    assert np.array_equal(sound(AUDIO), want)
    assert np.array_equal(sound(want.astype(np.float32) + np.float32(1e-6)), want)
    assert np.array_equal(sound(torch.tensor(want)), want)
    assert np.array_equal(sound(np.stack([AUDIO, AUDIO])), want)
    assert np.allclose(sound(np.stack([AUDIO, 0 * AUDIO])), want / 2)
    assert sound(None).shape == (0,)
    assert sound(np.array([1.0005, -1.0005])).tolist() == [np.float32(32767 / 32768), -1.0]


F = VIDEO / 255.0
WRONG_VIDEOS = [
    (VIDEO.astype(np.float32), "from 0 to 255", "videos / 255"),
    (F * 2 - 1, "from -1 to 1", "(videos + 1) / 2"),
    (F * 1.5, "to 1.5", "videos.clip(0, 1)"),
    (VIDEO.astype(np.int64), "int64", 'astype("uint8")'),
    (VIDEO[0], "(8, 10, 3)", "videos[None]"),
    (VIDEO[None], "(1, 5, 8, 10, 3)", "a list of clips"),
    (VIDEO[:0], "(0, 8, 10, 3)", "(n, frames, height, width, 3)"),
    (VIDEO[..., :1], "(5, 8, 10, 1)", "np.repeat"),
    (np.concatenate([VIDEO, VIDEO[..., :1]], -1), "(5, 8, 10, 4)", "videos[..., :3]"),
    (VIDEO[:3, :3], "(3, 3, 10, 3)", None),
    (np.zeros((3, 3, 8, 8), np.uint8), "(3, 3, 8, 8)", "np.moveaxis(videos, 2, -1)"),
    (np.zeros((5, 8, 10, 2), np.uint8), "(5, 8, 10, 2)", "np.moveaxis"),
]


@pytest.mark.parametrize(("video", "found", "remedy"), WRONG_VIDEOS)
def test_a_video_that_could_be_misread_is_refused(video: np.ndarray, found: str, remedy: str | None) -> None:
    if remedy is None:
        assert np.array_equal(pixels(video), video), "the documented layout is never in doubt"
        return
    with pytest.raises(UsageError) as error:
        pixels(video)
    assert "videos[0]" in error.value.found
    assert found in error.value.found
    assert remedy in error.value.next


WRONG_AUDIOS = [
    (AUDIO.astype(np.float32), "from -3.2", "audios / 32768"),
    (AUDIO / 20000, "from -1.6", "audios.clip(-1, 1)"),
    (AUDIO.astype(np.int32), "int32", 'astype("int16")'),
    (np.stack([AUDIO, AUDIO], -1), "(400, 2)", "swapaxes"),
    (AUDIO[None, None], "(1, 1, 400)", "(n, samples)"),
]


@pytest.mark.parametrize(("audio", "found", "remedy"), WRONG_AUDIOS)
def test_a_sound_that_could_be_misread_is_refused(audio: np.ndarray, found: str, remedy: str) -> None:
    with pytest.raises(UsageError) as error:
        sound(audio)
    assert found in error.value.found
    assert remedy in error.value.next


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_their_place(bad: float) -> None:
    video, audio = F.copy(), AUDIO / 32768
    video[2, 3, 4, 1] = audio[7] = bad
    with pytest.raises(NonFiniteError, match=r"videos\[6\] holds NaN or infinity, 1 times"):
        make_clip(video, AUDIO, 8, 16000, 6)
    with pytest.raises(NonFiniteError, match=r"audios\[6\]"):
        make_clip(VIDEO, audio, 8, 16000, 6)


def test_lists_of_clips_of_any_length_keep_their_prompts_and_ids() -> None:
    found = make_clips([VIDEO, VIDEO[:3]], [AUDIO, AUDIO[:99]], 7.5, 16000, ["a", "b"], first=3)
    assert [c.size() for c in found.clips] == ["5x8x10@7.5+400@16000", "3x8x10@7.5+99@16000"]
    assert (found.prompts, found.ids) == (["a", "b"], ["000003", "000004"])
    again = make_clips(found, ids=["x", "y"])
    assert (again.clips, again.prompts, again.ids) == (found.clips, ["a", "b"], ["x", "y"])
    assert repr(found) == "Clips(2: 1 of 5x8x10@7.5+400@16000, 1 of 3x8x10@7.5+99@16000)"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"audios": [AUDIO]}, "1 audios for 2 videos"),
        ({"videos": VIDEO, "audios": AUDIO}, "videos is uint8 (5, 8, 10, 3)"),
        ({"prompts": ["a", "b", "c"]}, "3 prompts for 2 videos"),
        ({"prompts": "a ball"}, "prompts is one text."),
        ({"ids": ["a"]}, "1 ids for 2 videos"),
        ({"fps": None}, "fps is None"),
        ({"fps": 0}, "fps is 0"),
        ({"sample_rate": None, "audios": [AUDIO, AUDIO]}, "sample_rate is None"),
        ({"videos": "a_folder"}, "videos is the text 'a_folder'"),
        ({"videos": Clips([clip()], [""], ["a"]), "audios": [AUDIO]}, "Both clips and audios"),
    ],
)
def test_what_does_not_belong_together_is_refused(given: dict[str, Any], found: str) -> None:
    arguments: dict[str, Any] = {"videos": [VIDEO, VIDEO], "fps": 8, "sample_rate": 16000} | given
    with pytest.raises(UsageError, match=re.escape(found)) as error:
        make_clips(**arguments)
    assert error.value.expected
    assert error.value.next
