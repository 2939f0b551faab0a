"""VGGSound: the packaged lists, and a small copy in odd encodings."""

from __future__ import annotations

import logging
import pickle
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mmbench.datasets.copies.first_clips import FORMAT
from mmbench.datasets.vggsound import VGGSound, held_out, labels_of_test, unmatched
from mmbench.errors import MMBenchError
from mmbench.registry import make_dataset
from mmbench.types import Prompt, Request
from tests.media_files import onset
from tests.vggsound_copy import ALONE, BAD, FREE, GOOD, HELD, LABEL, OTHER, PART, TRAIN, write_copy


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_copy(tmp_path_factory.mktemp("vggsound"))


@pytest.fixture(scope="module")
def data(root: Path) -> VGGSound:
    dataset: VGGSound = make_dataset(f"vggsound:{root}")
    return dataset


def test_the_packaged_lists_are_those_of_the_authors() -> None:
    labels = labels_of_test()
    assert len(labels) == 15446
    assert len(set(labels.values())) == 309
    assert labels["glLQrEijrKg_000300"] == "playing hammond organ"
    assert "bird chirping, tweeting" in labels.values()
    assert len(unmatched()) == 55735
    assert {len(id) for id in unmatched()} == {11}


def test_every_label_has_videos_in_both_halves() -> None:
    halves = Counter((label, held_out(key)) for key, label in labels_of_test().items() if key[:11] not in unmatched())
    assert len(halves) == 2 * 309
    assert min(halves.values()) >= 10


def test_good_videos_are_kept_and_the_rest_explained(
    data: VGGSound, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = VGGSound(str(root))
    with caplog.at_level(logging.INFO, "mmbench"):
        assert sorted(fresh.usable) == sorted(GOOD)
    for key, (_, reason) in BAD.items():
        (line,) = [r.getMessage() for r in caplog.records if key in r.getMessage()]
        assert re.search(reason if reason == PART else re.escape(reason), line)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.startswith("6 of 12 videos cannot be used; mmbench data check vggsound")
    assert len(fresh.missing) == 15446 - 3 - 12
    assert "notes_on_them" not in str(fresh.videos)


@pytest.mark.parametrize("key", GOOD)
def test_clips_have_the_format_and_their_sound_in_time(data: VGGSound, key: str) -> None:
    (item,) = data.items([key])
    assert item.clip.video.shape == (16, 256, 256, 3)
    assert (float(item.clip.fps), item.clip.sample_rate, item.clip.audio.shape) == (8.0, 16000, (32000,))
    assert item.prompt.text == labels_of_test()[key]
    assert onset(item.clip.audio, 16000) == pytest.approx(0.5, abs=0.03)
    assert np.array_equal(item.clip.audio, np.rint(item.clip.audio * 32768) / 32768)
    assert FORMAT.num_frames == len(item.clip.video)
    level = item.clip.video.mean((1, 2, 3))
    assert (np.diff(level) > 3).sum() >= 14  # pictures go on: brightness tells their index, and wraps at most once


def test_pictures_are_cropped_at_the_centre_with_the_aspect_kept(data: VGGSound) -> None:
    steps = {key: data.items([key])[0].clip.notes["steps"] for key in (HELD[1], FREE[0])}
    assert "size 96x48 -> 256x256 px, area average, centre crop" in steps[HELD[1]]
    assert "size 48x64 -> 256x256 px, area average, centre crop" in steps[FREE[0]]  # shown upright


def test_prompts_are_labels_drawn_with_the_seed(data: VGGSound) -> None:
    prompts = data.prompts(200, 3)
    assert set(Counter(p.text for p in prompts)) == {LABEL, OTHER}
    assert 70 < Counter(p.text for p in prompts)[OTHER] < 130  # labels equally likely, however many videos they have
    assert len({p.id for p in prompts}) == 200
    assert data.prompts(50, 3) == prompts[:50]
    assert data.prompts(200, 4) != prompts


def test_real_clips_are_held_out_ones_of_the_label(data: VGGSound) -> None:
    for prompt in data.prompts(4, 0):
        request = Request(prompt, 0, 0)
        ids = {data.real(request, f"draw {k}").id for k in range(8)}
        assert ids == ({ALONE[0]} if prompt.text == OTHER else set(HELD[:2]))
        assert data.real(request, "draw 0").id == data.real(request, "draw 0").id
    with pytest.raises(MMBenchError, match="No held-out video has the label 'zebra braying'"):
        data.real(Request(Prompt("x", "zebra braying"), 0, 0), "draw")


def test_the_reference_is_the_other_half(data: VGGSound) -> None:
    reference = data.reference(None, 0)
    assert {item.id for item in reference} == set(FREE[:3])
    assert len(data.reference(2, 0)) == 2
    assert [i.id for i in data.reference(2, 0)] == [i.id for i in reference][:2]
    assert len({tuple(i.id for i in data.reference(None, seed)) for seed in range(6)}) > 1
    again = pickle.loads(pickle.dumps(reference))
    assert again[1:][0].clip.digest() == reference[1].clip.digest()


def test_the_authors_table_makes_training_videos_the_reference(root: Path, tmp_path: Path, data: VGGSound) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    excluded = min(unmatched())
    rows = [
        f'{TRAIN[:11]},7,"wind noise, gusts",train',
        f"{excluded},1,rapping,train",
        f"{HELD[0][:11]},1,rapping,test",
    ]
    (copy / "vggsound.csv").write_text("\n".join(rows) + "\n")
    dataset = make_dataset(f"vggsound:{copy}")
    (item,) = dataset.reference(None, 0)
    assert (item.id, item.prompt.text) == (TRAIN, "wind noise, gusts")
    assert dataset.spec()["reference"] == "train"
    assert dataset.prompts(20, 0) == data.prompts(20, 0)  # training labels are no prompts


def test_the_spec_follows_contents_and_names_but_not_the_place(root: Path, tmp_path: Path, data: VGGSound) -> None:
    assert data.spec()["num_held_out"] == data.spec()["num_reference"] == 3
    copy = tmp_path / "elsewhere"
    shutil.copytree(root, copy)
    assert VGGSound(str(copy)).spec() == data.spec()
    shutil.copy(copy / "video" / f"{HELD[0]}.mp4", copy / "video" / f"{HELD[1]}.mp4")
    assert VGGSound(str(copy)).spec()["digest"] != data.spec()["digest"]


def test_the_folder_is_found_by_name_variable_or_place(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    with pytest.raises(MMBenchError, match="home/data/vggsound") as error:
        VGGSound()
    assert "MMBENCH_DATA_VGGSOUND=PATH" in str(error.value)
    assert VGGSound.presence()[0] is False
    monkeypatch.setenv("MMBENCH_DATA_VGGSOUND", str(root))
    assert VGGSound().root == root
    assert VGGSound.presence() == (True, str(root), "")


def test_a_copy_without_usable_videos_says_what_to_type(tmp_path: Path) -> None:
    (tmp_path / f"{HELD[0]}.mp4").touch()
    with pytest.raises(MMBenchError, match="holds 1 videos named like VGGSound") as error:
        VGGSound(str(tmp_path)).prompts(1, 0)
    assert "mmbench data check vggsound" in error.value.next
