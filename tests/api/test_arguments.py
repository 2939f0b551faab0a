"""What surrounds the arrays, in every type that programs have: taken as meant, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mmbench as mm
from mmbench.api.arguments import read_rate
from mmbench.api.clips import Clips, make_clips
from mmbench.api.loading import is_dataset
from mmbench.errors import MMBenchError, UsageError
from tests.builders import clip

VIDEOS = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 10, 3), np.uint8)
AUDIOS = np.zeros((2, 400), np.int16)
NTSC = Fraction(30000, 1001)


def made(**changed: Any) -> Clips:
    return make_clips(**{"videos": VIDEOS, "audios": AUDIOS, "fps": 8, "sample_rate": 16000} | changed)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (np.float32(29.97), 29.97),
        (torch.tensor(29.97), 29.97),
        (np.array(8), 8),
        (np.int64(25), 25),
        (NTSC, NTSC),
        (0.5, 0.5),
    ],
)
def test_a_rate_of_any_type_is_the_one_meant(given: Any, meant: Any) -> None:
    assert read_rate("fps", given) == meant
    assert made(fps=given).clips[0].fps == Fraction(meant).limit_denominator(1_000_000)


@pytest.mark.parametrize("fps", ["8", None, True, [8, 8], float("nan"), float("inf"), 0, -1, 1e5, 1j])
def test_what_is_no_frame_rate_is_refused(fps: Any) -> None:
    with pytest.raises(UsageError, match="fps is"):
        made(fps=fps)


@pytest.mark.parametrize("rate", ["16000", None, [16000], float("nan"), float("inf"), 16, 44100.5])
def test_what_is_no_sample_rate_is_refused_and_kilohertz_too(rate: Any) -> None:
    with pytest.raises(UsageError, match="sample_rate is"):
        made(sample_rate=rate)


def test_generators_and_arrays_of_objects_are_lists() -> None:
    whole = made(prompts=["a", "b"], ids=["x", "y"])
    uneven = np.empty(2, object)
    uneven[:] = [VIDEOS[0], VIDEOS[1][:3]]
    given = made(videos=iter(VIDEOS), audios=iter(AUDIOS), prompts=iter(["a", "b"]), ids=iter("xy"))
    assert [c.digest() for c in given.clips] == [c.digest() for c in whole.clips]
    assert (given.prompts, given.ids) == (whole.prompts, whole.ids)
    assert [len(c.video) for c in made(videos=uneven).clips] == [5, 3]


@pytest.mark.parametrize("videos", [None, 5, {"a": VIDEOS[0]}, b"abc"])
def test_what_is_no_list_of_videos_is_refused(videos: Any) -> None:
    with pytest.raises(UsageError, match="videos is a "):
        made(videos=videos)


def test_no_prompt_is_none_and_arrays_of_texts_are_taken() -> None:
    assert made(prompts=["a", None]).prompts == ["a", ""]
    assert made(prompts=np.array(["a", "b"])).prompts == ["a", "b"]
    clips = Clips([clip(), clip()], ["", ""], ["a", "b"])
    assert make_clips(clips, prompts=np.array(["a", "b"])).prompts == ["a", "b"]
    with pytest.raises(UsageError, match="0 prompts for 2 videos"):
        make_clips(clips, prompts=[])


@pytest.mark.parametrize(
    "wrong", [{"prompts": [1, 2]}, {"prompts": ["\ud83d", "a"]}, {"prompts": {0: "a", 1: "b"}}, {"ids": ["a", None]}]
)
def test_texts_of_another_kind_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}(\\[.\\])? is "):
        made(**wrong)


def test_a_part_of_clips_is_clips() -> None:
    part = made(prompts=["a", "b"])[1:]
    assert (len(part), part.prompts, part.ids) == (1, ["b"], ["000001"])
    with pytest.raises(UsageError, match="no part of clips"):
        part[0]  # type: ignore[index]


SCORED: dict[str, Any] = {"videos": VIDEOS, "audios": AUDIOS, "fps": 8, "sample_rate": 16000, "metrics": "av_align"}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"metrics": 5}, "metrics is a int"),
        ({"metrics": [None]}, "metrics holds None"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"workers": 0}, "workers is 0"),
        ({"cache": __file__}, "cache is the file"),
        ({"name": ""}, "name is ''"),
        ({"reference": (VIDEOS[:0], AUDIOS[:0])}, "reference holds no clips"),
        ({"metrics": "ib_bounce_av", "device": "gpu"}, "device is 'gpu'"),
        ({"metrics": "ib_bounce_av", "device": "cuda:99"}, "device is 'cuda:99'"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_any_work(changed: dict[str, Any], found: str) -> None:
    with pytest.raises(MMBenchError, match=found):
        mm.score(**SCORED | changed)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mm.load_clips("bounce", num="3"),  # type: ignore[arg-type]
        lambda: mm.load_clips(5),  # type: ignore[arg-type]
        lambda: mm.compare("a", None),  # type: ignore[arg-type]
        lambda: mm.Evaluator("av_align").merge(5),  # type: ignore[arg-type]
    ],
)
def test_other_types_are_refused_with_a_remedy(call: Callable[[], Any]) -> None:
    with pytest.raises(UsageError) as error:
        call()
    assert error.value.next


def test_a_dataset_of_another_shape_has_a_name_in_python_too(tmp_path: Path) -> None:
    clips = mm.load_clips("bounce?seconds=1&size=32", num=1)
    assert clips.videos[0].shape == (8, 32, 32, 3)
    assert is_dataset("bounce?seconds=4")
    assert not is_dataset("./bounce")
    assert not is_dataset(str(tmp_path))


def test_a_score_that_was_not_asked_for_names_those_that_were() -> None:
    with pytest.raises(KeyError, match="'fvd' is not among av_align"):
        mm.score(**SCORED)["fvd"]
