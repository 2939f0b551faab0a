"""T2AV-Compass's indices and its list of prompts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mmbench.errors import UsageError
from mmbench.media.layouts.t2av_compass import T2AVCompass
from tests.media.layouts.pieces import HARD, pieces, put, texts_of, touch

LAYOUT = T2AVCompass()


def test_clips_are_called_by_index_and_prompts_come_back(tmp_path: Path) -> None:
    plan = LAYOUT.plan(pieces([*HARD, ""]))
    folder = put(tmp_path, plan)
    assert [place.video for place in plan.places][:2] == ["input/1.mp4", "input/2.mp4"]
    assert {place.sound for place in plan.places} == {None}
    assert texts_of(plan, LAYOUT.read(folder, None), folder) == [*HARD, ""]
    assert LAYOUT.is_certain(folder)
    items = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    assert [item["index"] for item in items] == list(range(1, len(HARD) + 2))
    assert items[1]["prompt"] == items[1]["video_prompt"] == items[1]["audio_prompt"] == HARD[1]
    assert any("1 clip without a prompt" in note for note in plan.notes)


def test_whole_numbers_as_ids_are_its_own_indices_unless_they_repeat() -> None:
    own = [replace(p, id=str(name)) for p, name in zip(pieces(["a", "b"]), (268, 377), strict=True)]
    assert [place.video for place in LAYOUT.plan(own).places] == ["input/268.mp4", "input/377.mp4"]
    for ids in (("7", "007"), ("7", "x")):
        given = [replace(p, id=name) for p, name in zip(own, ids, strict=True)]
        assert [place.video for place in LAYOUT.plan(given).places] == ["input/1.mp4", "input/2.mp4"]


def test_every_form_of_a_name_is_read_and_the_first_that_it_tries_is_taken(tmp_path: Path) -> None:
    names = ("sample_0001", "sample_2", "0003", "4", "video_0005", "video_6", "1", "cat", "sample_07")
    files = {name: touch(tmp_path / f"{name}.mp4") for name in names}
    listed = touch(tmp_path / "list.json")
    listed.write_text(json.dumps([{"index": i, "prompt": f"prompt {i}"} for i in range(1, 8)]))
    reading = LAYOUT.read(tmp_path, listed)
    assert [(f.id, f.text) for f in reading.found] == [(names[i - 1], f"prompt {i}") for i in range(1, 7)]
    reasons = {r.path: r.reason for r in reading.rejected}
    assert "takes sample_0001.mp4 for index 1" in reasons[str(files["1"])]
    listed.write_text("{}")
    with pytest.raises(UsageError, match="no list of prompts"):
        LAYOUT.read(tmp_path, listed)
    assert {str(files["cat"]), str(files["sample_07"])} < set(reasons)


def test_lists_of_other_things_are_no_prompts_of_this_layout(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    for items in ([1, 2], ["index"], {"index": 1}):
        (tmp_path / "prompts.json").write_text(json.dumps(items))
        assert not T2AVCompass().is_certain(tmp_path)
