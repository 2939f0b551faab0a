"""`mmbench data`: what is wrong with a copy of VGGSound, and clips made ready once."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.datasets.copies import prepare as preparing
from mmbench.datasets.copies.conformed import INDEX, PREPARED, Entry, examine_videos
from mmbench.datasets.copies.first_clips import FORMAT
from mmbench.datasets.copies.prepare import prepare_videos
from mmbench.datasets.vggsound import VGGSound
from mmbench.errors import IntegrityError
from mmbench.media.limits import set_limits
from tests.commands import mmbench_here
from tests.media_files import flashes, write_media
from tests.vggsound_copy import BAD, FREE, GOOD, HELD, PART, sound, write_copy

FEW = [HELD[0], FREE[0], HELD[2]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_copy(tmp_path_factory.mktemp("vggsound"))


@pytest.fixture
def few(root: Path, tmp_path: Path) -> Path:
    """Two good videos and one without sound, in a copy of their own."""
    for key in FEW:
        shutil.copy(root / "video" / f"{key}.mp4", tmp_path)
    return tmp_path


def make(root: Path, name: str = "vggsound") -> list[Entry]:
    copy = VGGSound(str(root))
    return prepare_videos(root, copy.videos, replace(copy.preparation, dataset=name), workers=1, quiet=True)


@pytest.mark.e2e
def test_the_commands_keep_the_good_and_explain_the_rest(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = VGGSound(str(root))
    before = {key: raw.items([key])[0] for key in GOOD}
    checked = mmbench_here(capsys, "data", "check", "vggsound", "--root", root, "--format", "json")
    assert checked.returncode == 0
    assert not (root / PREPARED).exists()
    made = mmbench_here(capsys, "data", "prepare", "vggsound", "--root", root, "--workers", "2", "--format", "json")
    assert made.returncode == 0, made.stderr
    rows = json.loads(made.stdout)
    assert rows == json.loads(checked.stdout)
    bad = [row for row in rows if row["status"] != "missing"]
    said = {Path(r["file"]).stem: (r["status"], re.sub(PART, lambda _: PART, r["reason"])) for r in bad}
    assert said == BAD
    assert sum(row["status"] == "missing" for row in rows) == 15446 - 3 - 12
    assert {clip.stem for clip in (root / PREPARED / "clips").iterdir()} == set(GOOD)

    ready = VGGSound(str(root))
    assert all(entry.clip for entry in ready.usable.values())
    assert ready.spec() == raw.spec()
    for key, item in before.items():
        (again,) = ready.items([key])
        assert np.array_equal(again.clip.video, item.clip.video)
        assert np.array_equal(again.clip.audio, item.clip.audio)
        assert again.clip.notes == item.clip.notes
        assert again.prompt == item.prompt

    table = mmbench_here(capsys, "data", "check", "vggsound", "--root", root).stdout
    assert "6 of 12 videos can be used; 2 corrupt, 1 no sound, 1 no video, 2 too short." in table
    assert "15431 of 15443 videos are missing" in table
    assert f"video/{HELD[3]}.mp4" in table


def test_prepared_clips_outlive_the_videos(few: Path) -> None:
    make(few)
    spec, ids = VGGSound(str(few)).spec(), {item.id for item in VGGSound(str(few)).reference(None, 0)}
    for video in few.glob("*.mp4"):
        video.unlink()
    assert VGGSound(str(few)).spec() == spec
    assert {item.id for item in VGGSound(str(few)).reference(None, 0)} == ids == {FREE[0]}


def test_videos_that_came_or_changed_since_are_not_read_from_what_was_prepared(
    few: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(few)
    same, changed, new = (f"{key}.mp4" for key in (FREE[0], HELD[0], FREE[1]))
    os.utime(few / same)  # another time, the same contents
    shutil.copy(root / "video" / f"{HELD[1]}.mp4", few / changed)
    shutil.copy(root / new, few)
    copy, other = VGGSound(str(few)), VGGSound(str(root))
    assert {key: bool(entry.clip) for key, entry in copy.usable.items()} == {
        FREE[0]: True,
        HELD[0]: False,
        FREE[1]: False,
    }
    assert "3 of 4 videos are read each time; once and for all: mmbench data prepare vggsound" in caplog.text
    pairs = [
        (copy.items([HELD[0]])[0], other.items([HELD[1]])[0]),
        (copy.items([FREE[1]])[0], other.items([FREE[1]])[0]),
    ]
    assert all(np.array_equal(a.clip.video, b.clip.video) for a, b in pairs)
    make(few)
    assert all(entry.clip for entry in VGGSound(str(few)).usable.values())


def test_an_interrupted_preparation_goes_on(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    whole = preparing.prepare_video

    def counted(root: Path, file: str, *rest: Any) -> Entry:
        if len(done) == stop_after:
            raise KeyboardInterrupt
        done.append(file)
        return whole(root, file, *rest)

    monkeypatch.setattr(preparing, "prepare_video", counted)
    stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        make(few)
    index, part = few / PREPARED / INDEX, few / PREPARED / f"{INDEX}.part"
    assert not index.exists()
    assert len(part.read_text().splitlines()) == 3
    with part.open("a") as file:
        file.write('{"file": "killed while wri')
    stop_after = 99
    entries = make(few)
    assert sorted(done) == [f"{key}.mp4" for key in sorted(FEW)]  # none twice
    assert [e.status for e in entries].count("ok") == 2
    assert VGGSound(str(few)).preparation.entries(few) == entries
    assert not part.exists()
    assert make(few) == entries
    assert len(done) == 3

    gone = next(e for e in entries if e.clip)
    (few / PREPARED / gone.clip).unlink()
    write_media(few / f"{HELD[2]}.mp4", flashes(24), sound(2.4))  # now it has sound
    again = make(few)
    assert sorted(done[3:]) == sorted({gone.file, f"{HELD[2]}.mp4"})
    assert {e.status for e in again} == {"ok"}


def test_damage_that_only_decoding_shows_is_found(few: Path) -> None:
    path = few / f"{FREE[0]}.mp4"
    pixels = np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), dtype=np.uint8)
    data = bytearray(write_media(path, pixels, sound(2.4)).read_bytes())
    begin = data.index(b"mdat") + 20000
    data[begin : begin + 20000] = b"\xff" * 20000
    path.write_bytes(data)
    assert {e.file: e.status for e in examine_videos(few, [path.name], FORMAT, quiet=True)} == {path.name: "ok"}
    (entry,) = [e for e in make(few) if e.file == path.name]
    assert entry.status == "corrupt"
    assert not entry.clip
    assert str(few) not in entry.reason


def test_what_a_limit_kept_from_being_made_ready_is_tried_again(few: Path) -> None:
    with set_limits(["pixels=99"]):
        assert {e.status for e in make(few)} == {"corrupt"}
    assert [e.status for e in make(few)].count("ok") == 2


def test_an_index_of_something_else_is_not_mixed_in(few: Path) -> None:
    make(few)
    with pytest.raises(IntegrityError, match="another dataset, version or format"):
        make(few, "other")
    index = few / PREPARED / INDEX
    index.write_text(index.read_text() + "rubbish\n")
    with pytest.raises(IntegrityError, match="line 5 is corrupt"):
        VGGSound(str(few)).spec()


def test_a_dataset_without_videos_has_nothing_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    result = mmbench_here(capsys, "data", "check", "bounce")
    assert result.returncode == 2
    assert "no videos of bounce" in result.stderr


def test_clips_of_another_length_are_prepared_beside(few: Path) -> None:
    make(few)
    usual = VGGSound(str(few)).items([HELD[0]])[0].clip
    half = VGGSound(str(few), shape={"seconds": 1, "fps": 4, "size": 64})
    raw = half.items([HELD[0]])[0].clip
    assert raw.size() == half.format.size() == "4x64x64@4+16000@16000"
    assert half.spec() != VGGSound(str(few)).spec()
    prepare_videos(few, half.videos, half.preparation, workers=1, quiet=True)
    fresh = VGGSound(str(few), shape={"seconds": 1, "fps": 4, "size": 64})
    assert {entry.clip for entry in fresh.usable.values()} == {f"clips/{key}.mkv" for key in FEW[:2]}
    assert fresh.items([HELD[0]])[0].clip.digest() == raw.digest()
    assert VGGSound(str(few)).items([HELD[0]])[0].clip.digest() == usual.digest()
    assert half.preparation.command("prepare", few).startswith(
        "mmbench data prepare 'vggsound?seconds=1&fps=4&size=64'"
    )
