"""The folder dataset: halves that follow from names, the format of most clips, prompts from a table."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mmbench.datasets.folder import Folder
from mmbench.errors import MMBenchError, UsageError
from mmbench.optional_protocols import whole
from mmbench.registry import make_dataset
from mmbench.types import ClipFormat, Request
from tests.media_files import clicks, flashes, write_media

NAMES = [f"clip{i}.mkv" for i in range(12)]


def write_clip(folder: Path, name: str, frames: int = 8, fps: int = 8, size: int = 32, rate: int = 16000) -> None:
    click = clicks([(int.from_bytes(name.encode(), "big") % 97) / 200], frames / fps, rate)
    write_media(
        folder / name, flashes(frames, size, size), click, fps=fps, rate=rate, video_codec="ffv1", audio_codec="flac"
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name in NAMES:
        write_clip(folder, name)
    rows = [f"{name},{'a dog' if i % 2 else 'a bell, ringing'!r}" for i, name in enumerate(NAMES)]
    (folder / "prompts.csv").write_text("file,prompt\n" + "\n".join(rows).replace("'", '"') + "\n")
    return folder


def held_out(dataset: Folder) -> set[str]:
    return {str(p.data["file"]) for p in dataset.prompts(len(NAMES), 0)}


def referenced(dataset: Folder) -> set[str]:
    return {str(item.prompt.data["file"]) for item in dataset.reference(None, 0)}


def test_halves_are_disjoint_and_complete(clips: Path) -> None:
    dataset = make_dataset(f"folder:{clips}")
    assert dataset.format == ClipFormat(8, 32, 32, 8.0, 16000, 16000)
    assert held_out(dataset) | referenced(dataset) == set(NAMES)
    assert not held_out(dataset) & referenced(dataset)
    assert dataset.rejected == []


def test_another_share_is_held_out_where_it_is_asked_for(clips: Path) -> None:
    few = make_dataset(f"folder:{clips}?held_out=0.2")
    assert held_out(few) | referenced(few) == set(NAMES)
    assert 0 < len(held_out(few)) < len(referenced(few))
    assert not held_out(few) & referenced(few)
    none = make_dataset(f"folder:{clips}?held_out=0")
    assert held_out(none) == referenced(none) == set(NAMES)
    for share in ("1", "-0.5", "half", ""):
        with pytest.raises(UsageError, match="share"):
            make_dataset(f"folder:{clips}?held_out={share}")


def test_clips_made_elsewhere_are_compared_with_all_unless_a_share_was_given(clips: Path) -> None:
    halves = make_dataset(f"folder:{clips}")
    assert referenced(whole(halves)) == set(NAMES)  # type: ignore[arg-type]
    assert referenced(halves) < set(NAMES), "the dataset itself is as it was"
    assert whole(halves).spec() != halves.spec()
    asked = make_dataset(f"folder:{clips}?held_out=0.2")
    assert whole(asked) is asked
    assert whole(make_dataset("bounce")).name == "bounce"


def test_adding_a_file_moves_no_other(clips: Path, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes((clips / name).read_bytes())
    before = Folder(str(tmp_path))
    halves, order = (held_out(before), referenced(before)), [p.id for p in before.prompts(3, 5)]
    write_clip(tmp_path, "another.mkv")
    after = Folder(str(tmp_path))
    assert held_out(after) - {"another.mkv"} == halves[0]
    assert referenced(after) - {"another.mkv"} == halves[1]
    assert [p.id for p in after.prompts(4, 5) if p.id != "another"][:3] == order
    assert after.spec() != before.spec()


def test_prompts_are_prefixes_with_unique_ids_and_depend_on_the_seed(clips: Path) -> None:
    dataset = Folder(str(clips))
    many = dataset.prompts(30, 1)
    assert dataset.prompts(7, 1) == many[:7]
    assert len({p.id for p in many}) == 30
    assert {p.text for p in many} == {"a dog", "a bell, ringing"}
    assert [p.id for p in dataset.prompts(5, 2)] != [p.id for p in dataset.prompts(5, 1)]


def test_real_items_fit_the_prompt_and_come_from_the_held_out_half(clips: Path) -> None:
    dataset = Folder(str(clips))
    for i, prompt in enumerate(dataset.prompts(8, 3)):
        request = Request(prompt, i, 3)
        items = [dataset.real(request, f"draw {k}") for k in range(6)]
        assert {item.prompt.text for item in items} == {prompt.text}
        assert {item.prompt.data["file"] for item in items} <= held_out(dataset)
        assert dataset.real(request, "draw 0").id == items[0].id
    assert items[0].clip.video.shape == (8, 32, 32, 3)
    assert items[0].clip.audio.shape == (16000,)
    stranger = Request(type(prompt)("x", "a volcano"), 0, 0)
    with pytest.raises(MMBenchError, match="volcano"):
        dataset.real(stranger, "draw")


def test_reference_is_lazy_and_survives_pickling(clips: Path) -> None:
    dataset = Folder(str(clips))
    items = pickle.loads(pickle.dumps(dataset.reference(2, 0)))
    assert len(items) == 2
    assert len(dataset.reference(99, 0)) == len(dataset.reference(None, 0))
    assert np.array_equal(items[1].clip.video, dataset.reference(None, 0)[1].clip.video)
    assert [i.id for i in items[0:2]] == [i.id for i in items]
    with pytest.raises(IndexError):
        items[2]


def test_spec_follows_contents_and_prompts_not_the_place(clips: Path, tmp_path: Path) -> None:
    for file in clips.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert Folder(str(tmp_path)).spec() == Folder(str(clips)).spec()
    table = tmp_path / "prompts.csv"
    table.write_text(table.read_text().replace("a dog", "a cat"))
    other = Folder(str(tmp_path)).spec()
    assert other["digest"] != Folder(str(clips)).spec()["digest"]
    write_clip(tmp_path, NAMES[0], frames=9)
    assert Folder(str(tmp_path)).spec()["digest"] != other["digest"]


def test_clips_unlike_most_are_rejected_with_reasons(clips: Path, tmp_path: Path) -> None:
    for name in NAMES[:4]:
        (tmp_path / name).write_bytes((clips / name).read_bytes())
    write_clip(tmp_path, "short.mkv", frames=6)
    write_clip(tmp_path, "fast.mkv", frames=20, fps=10)
    write_clip(tmp_path, "big.mkv", size=64)
    write_clip(tmp_path, "rate.mkv", rate=44100)
    write_clip(tmp_path, "long.mkv", frames=12)
    write_media(tmp_path / "silent.mkv", flashes(8, 32, 32), fps=8)
    (tmp_path / "bad.mkv").write_text("no video")
    dataset = Folder(str(tmp_path))
    reasons = {Path(r.path).name: r.reason for r in dataset.rejected}
    assert reasons.keys() == {"short.mkv", "fast.mkv", "big.mkv", "rate.mkv", "silent.mkv", "bad.mkv"}
    for name, words in [("short", "0.750 s of video"), ("fast", "10 1/s"), ("big", "64x64"), ("rate", "44100")]:
        assert words in reasons[f"{name}.mkv"]
    assert "no sound" in reasons["silent.mkv"]
    assert dataset.spec()["num_clips"] == 5


def test_a_given_format_resamples_what_is_long_enough(clips: Path, tmp_path: Path) -> None:
    for name in NAMES[:6]:
        (tmp_path / name).write_bytes((clips / name).read_bytes())
    write_clip(tmp_path, "fast.mkv", frames=30, fps=30, size=64, rate=44100)
    write_clip(tmp_path, "short.mkv", frames=4)
    form = ClipFormat(4, 16, 16, 4.0, 8000, 8000)
    dataset = Folder(str(tmp_path), format=form)
    assert [Path(r.path).name for r in dataset.rejected] == ["short.mkv"]
    item = dataset._item("fast.mkv")
    assert (item.clip.video.shape, item.clip.audio.shape) == ((4, 16, 16, 3), (8000,))
    assert len(item.clip.notes["steps"]) == 3


def test_clips_without_sound_make_a_silent_format(tmp_path: Path) -> None:
    for i in range(4):
        write_media(tmp_path / f"{i}.mp4", flashes(8, 32, 32), fps=8)
    dataset = Folder(str(tmp_path))
    assert dataset.format.num_samples == 0
    assert dataset._item("0.mp4").clip.audio.shape == (0,)


def test_errors_say_what_is_wrong(clips: Path, tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "none"), str(clips / NAMES[0])):
        with pytest.raises(UsageError) as error:
            Folder(path)
        assert error.value.expected
    with pytest.raises(MMBenchError, match="no usable clip"):
        Folder(str(tmp_path))
    (tmp_path / NAMES[0]).write_bytes((clips / NAMES[0]).read_bytes())
    with pytest.raises(MMBenchError, match="1 usable"):
        Folder(str(tmp_path))
    (tmp_path / NAMES[1]).write_bytes((clips / NAMES[1]).read_bytes())
    table = tmp_path / "table.csv"
    for text, words in [
        ("file,prompt\nnone.mp4,a\n", "none.mp4"),
        (f"file,prompt\n{NAMES[0]},a\n{NAMES[0]},b\n", "2 times"),
        ("name,text\nx,y\n", "columns"),
        ("", "columns"),
        (f"file,prompt\n{NAMES[0]},a cat, and a dog\n", "line 2 has more cells than columns: 'a cat, and a dog'"),
        (f'file,prompt\n{NAMES[0]},"a cat\n', "begins in line 2: unexpected end"),
    ]:
        table.write_text(text)
        with pytest.raises(UsageError, match=words):
            Folder(str(tmp_path))
    table.write_bytes(f"file,prompt\n{NAMES[0]},Fluß\n".encode("latin1"))
    with pytest.raises(UsageError, match="is not in UTF-8"):
        Folder(str(tmp_path))
    (tmp_path / "second.csv").write_text("file,prompt\n")
    with pytest.raises(UsageError, match="2 tables"):
        Folder(str(tmp_path))


def test_an_empty_half_is_named_when_it_is_needed(clips: Path, tmp_path: Path) -> None:
    names = sorted(referenced(Folder(str(clips))))[:2]
    for name in names:
        (tmp_path / name).write_bytes((clips / name).read_bytes())
    dataset = Folder(str(tmp_path))
    assert len(dataset.reference(None, 0)) == 2
    with pytest.raises(MMBenchError, match="held-out half is empty"):
        dataset.prompts(1, 0)


def test_clips_of_a_shape_that_is_asked_for_are_made_of_all(clips: Path, tmp_path: Path) -> None:
    for name in NAMES[:3]:
        (tmp_path / name).write_bytes((clips / name).read_bytes())
    write_clip(tmp_path, "other.mkv", frames=16, fps=16, size=64, rate=8000)
    write_clip(tmp_path, "short.mkv", frames=4)
    asked = make_dataset(f"folder:{tmp_path}?held_out=0&seconds=0.75&fps=4&size=16")
    assert asked.format == ClipFormat(3, 16, 16, 4.0, 12000, 16000)
    assert {item.clip.size() for item in asked.reference(None, 0)} == {asked.format.size()}
    assert len(asked.reference(None, 0)) == 4
    assert [(Path(r.path).name, r.reason) for r in asked.rejected] == [("short.mkv", "0.500 s of video, not 0.750 s")]
