"""Landscape and AIST++: the authors' folders, cut and scaled as their code does."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from mmbench.datasets.copies.cut_anywhere import FORMAT, cut, fit, frame_index, num_starts
from mmbench.datasets.mm_diffusion import LandscapeInDomain, MMDiffusionData
from mmbench.errors import MediaError, MMBenchError
from mmbench.registry import make_dataset
from mmbench.types import Clip, Request
from tests.commands import mmbench_here
from tests.media_files import clicks, flashes, onset, write_media

FPS = 25


def write_video(path: Path, seconds: float = 3.0, click: float = 1.0) -> Path:
    """Flat frames whose brightness tells their index; a click on the left channel, another one on the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = (8 + 3 * np.arange(round(seconds * FPS))).astype(np.uint8)
    video = np.broadcast_to(levels[:, None, None, None], (len(levels), 32, 64, 3))
    sound = np.stack([clicks([click], seconds, 44100), clicks([0.2], seconds, 44100)])
    return write_media(path, video, sound, fps=FPS, rate=44100, video_codec="ffv1", audio_codec="flac")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "landscape"
    for i in range(3):
        write_video(folder / "train" / "nature" / f"video{i}.mkv", click=1.0 + i / 10)
    write_video(folder / "train" / "too_short.mkv", seconds=1.2)
    write_media(folder / "train" / "silent.mkv", flashes(60, 32, 64), fps=FPS, video_codec="ffv1")
    for i in range(2):
        write_video(folder / "test" / f"video{i}.mkv", click=2.0 + i / 10)
    return folder


@pytest.fixture
def data(root: Path) -> MMDiffusionData:
    dataset: MMDiffusionData = make_dataset(f"landscape_ind:{root}")
    return dataset


def shown(clip: Clip) -> list[int]:
    """Source frames in a clip, from the brightness of its middle row."""
    return [round((float(row.mean()) - 8) / 3) for row in clip.video[:, 32]]


@pytest.mark.parametrize(
    ("fps", "start", "expected"),
    [
        (Fraction(10), 3, list(range(3, 19))),
        (Fraction(30), 2, list(range(6, 54, 3))),
        (Fraction(25), 1, [2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30, 32, 35, 37, 40]),
    ],
)
def test_frames_are_those_on_screen_at_the_ticks(fps: Fraction, start: int, expected: list[int]) -> None:
    assert frame_index(start, fps) == expected


@pytest.mark.parametrize(
    ("frames", "fps", "starts"), [(16, 10, 1), (15, 10, 0), (100, 10, 85), (300, 30, 85), (47, 30, 0)]
)
def test_clips_begin_wherever_a_whole_one_fits(frames: int, fps: int, starts: int) -> None:
    assert num_starts(frames, Fraction(fps)) == starts


def test_a_clip_is_the_frames_and_the_sound_of_its_time(root: Path) -> None:
    clip = cut(root / "train" / "nature" / "video0.mkv", 4)
    assert clip.video.shape == (16, 64, 64, 3)
    assert (clip.fps, clip.sample_rate, clip.audio.shape) == (10.0, 16000, (25600,))
    assert shown(clip) == frame_index(4, Fraction(FPS))
    assert onset(clip.audio, 16000) == pytest.approx(1.0 - 0.4, abs=2e-3)  # of the left channel: the right one's is 0.2


def test_sound_that_ends_early_ends_in_silence(tmp_path: Path) -> None:
    sound = clicks([0.0, 1.2], 1.4, 16000)
    path = write_media(tmp_path / "a.mkv", flashes(20), sound, fps=10, video_codec="ffv1", audio_codec="flac")
    clip = cut(path, 0)
    assert clip.audio.shape == (25600,)
    assert not clip.audio[22400:].any()
    assert "silence at the end" in clip.notes["steps"][-1]
    with pytest.raises(MediaError, match="tick 5"):
        cut(path, 5)


@pytest.mark.parametrize(("size", "rows", "columns"), [((36, 64), 36, 64), ((128, 96), 64, 48), ((256, 256), 64, 64)])
def test_pictures_are_fitted_and_padded_with_black(size: tuple[int, int], rows: int, columns: int) -> None:
    fitted = fit(np.full((*size, 3), 200, np.uint8))
    assert fitted.shape == (64, 64, 3)
    assert (fitted == 200).all(-1).sum() == rows * columns
    assert (fitted == 0).all(-1).sum() == 64 * 64 - rows * columns
    top, left = (64 - rows) // 2, (64 - columns) // 2
    assert (fitted[top : top + rows, left : left + columns] == 200).all()


def test_pictures_are_scaled_as_torch_does_without_smoothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(x, (48, 64), mode="bicubic", antialias=False)[0].permute(1, 2, 0)
    difference = fit(picture)[8:56].astype(float) - expected.clamp(0, 255).round().numpy()
    assert np.abs(difference).max() <= 2
    assert np.abs(difference).mean() < 0.2
    smoothed = torch.nn.functional.interpolate(x, (48, 64), mode="bicubic", antialias=True)[0].permute(1, 2, 0)
    assert np.abs(fit(picture)[8:56] - smoothed.numpy()).mean() > 5


def test_the_reference_is_train_spread_evenly_without_repetition(data: MMDiffusionData) -> None:
    reference = data.reference(None, 0)
    assert sorted(name for name, _ in reference.chosen) == [f"nature/video{i}.mkv" for i in range(3)]  # type: ignore[attr-defined]
    many = data.reference(30, 0)
    assert many.chosen[:3] == reference.chosen  # type: ignore[attr-defined]
    assert len(set(many.chosen)) == 30  # type: ignore[attr-defined]
    assert {sum(n == f"nature/video{i}.mkv" for n, _ in many.chosen) for i in range(3)} == {10}  # type: ignore[attr-defined]
    assert len(data.reference(10_000, 0)) == 3 * num_starts(75, Fraction(25)) == 45
    clips, videos = data.every_clip(0)
    assert (len(clips), videos) == (45, 3)
    assert clips[0].prompt.id == data.reference(None, 0)[0].prompt.id
    assert data.reference(3, 1).chosen != reference.chosen  # type: ignore[attr-defined]
    item = reference[1]
    assert item.clip.video.shape == (16, 64, 64, 3)
    assert item.prompt.text == ""
    assert item.id.startswith("nature/video")


def test_real_clips_come_from_test(data: MMDiffusionData) -> None:
    request = Request(data.prompts(1, 0)[0], 0, 0)
    items = [data.real(request, f"draw {k}") for k in range(12)]
    assert {item.prompt.data["file"] for item in items} == {"test/video0.mkv", "test/video1.mkv"}
    for item in items:
        assert shown(item.clip) == frame_index(item.prompt.data["tick"], Fraction(FPS))
    assert len({item.prompt.data["tick"] for item in items}) > 4
    assert data.real(request, "draw 0").clip.digest() == items[0].clip.digest()


def test_no_captions_are_written_for_a_dataset_without_texts(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = mmbench_here(capsys, "data", "caption", "landscape_ind", "--root", root)
    assert result.returncode == 2
    assert "mmbench data caption landscape" in result.stderr


def test_prompts_are_empty_and_unique(data: MMDiffusionData) -> None:
    prompts = data.prompts(5, 0)
    assert {p.text for p in prompts} == {""}
    assert len({p.id for p in prompts}) == 5
    assert data.prompts(3, 0) == prompts[:3]
    assert data.format == FORMAT


def test_the_spec_follows_contents_and_names_but_not_the_place(
    root: Path, tmp_path: Path, data: MMDiffusionData
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(root, copy)
    assert make_dataset(f"landscape_ind:{copy}").spec() == data.spec()
    (copy / "train" / "video_clip_f16_g1_r10.pkl").write_bytes(b"the authors' code leaves such files")
    assert make_dataset(f"landscape_ind:{copy}").spec() == data.spec()
    shutil.copy(copy / "test" / "video0.mkv", copy / "test" / "video1.mkv")
    assert make_dataset(f"landscape_ind:{copy}").spec()["digest"] != data.spec()["digest"]


@pytest.mark.parametrize(("name", "folder"), [("landscape_ind", "landscape"), ("aistpp", "AIST++_crop")])
def test_the_folder_is_found_by_name_variable_or_place(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    with pytest.raises(MMBenchError) as error:
        make_dataset(name)
    said = str(error.value)
    assert f"home/data/{folder}" in said
    assert f"--dataset {name}:PATH" in said
    assert f"MMBENCH_DATA_{name.upper()}=PATH" in said
    assert "drive.google.com" in said
    monkeypatch.setenv(f"MMBENCH_DATA_{name.upper()}", str(root))
    assert make_dataset(name).spec()["num_train"] == 5
    monkeypatch.delenv(f"MMBENCH_DATA_{name.upper()}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / folder).symlink_to(root)
    assert make_dataset(name).spec()["num_test"] == 2


def test_what_is_missing_is_said(root: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(MMBenchError, match="holds no videos"):
        make_dataset(f"aistpp:{tmp_path}")
    shutil.copy(root / "train" / "too_short.mkv", tmp_path / "train" / "a.mkv")
    dataset = make_dataset(f"aistpp:{tmp_path}")
    with pytest.raises(MMBenchError, match=r"none with a clip of 1\.6 s"):
        dataset.reference(1, 0)
    with pytest.raises(MMBenchError, match="no held-out clips"):
        dataset.real(Request(dataset.prompts(1, 0)[0], 0, 0), "real")


def test_a_copy_is_checked_by_the_rule_that_runs_use(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut_off = root / "test" / "cut_off.mkv"
    cut_off.write_bytes((root / "test" / "video0.mkv").read_bytes()[:200])
    result = mmbench_here(capsys, "data", "check", "landscape_ind", "--root", root, "--format", "json")
    cut_off.unlink()
    assert result.returncode == 0, result.stderr
    bad = {row["file"]: (row["status"], row["reason"]) for row in json.loads(result.stdout)}
    assert bad.pop("test/cut_off.mkv")[0] == "corrupt"
    assert bad == {
        "train/too_short.mkv": ("too short", "1.200 s of video, not 1.600 s"),
        "train/silent.mkv": ("no sound", "it has no sound"),
    }
    dataset = LandscapeInDomain(str(root))
    used = {f"{part.folder.name}/{name}" for part in (dataset.train, dataset.test) for name in part.starts}
    assert used == set(dataset.videos.values()) - set(bad)
