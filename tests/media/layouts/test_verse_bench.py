"""Verse-Bench's names, which are those of its prompts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mmbench.media.layouts.verse_bench import VerseBench
from tests.media.layouts.pieces import HARD, pieces, put, texts_of, touch

LAYOUT = VerseBench()


def test_clips_are_called_like_their_prompts_which_come_back(tmp_path: Path) -> None:
    plan = LAYOUT.plan(pieces([*HARD, ""]))
    folder = put(tmp_path, plan)
    assert (plan.places[1].video, plan.places[1].sound) == ("samples/prompt-1.mp4", "samples/prompt-1.wav")
    assert texts_of(plan, LAYOUT.read(folder, None), folder) == [*HARD, ""]
    assert LAYOUT.is_certain(folder)
    item = json.loads((folder / "verse_bench" / "set1" / "prompt-1.json").read_text(encoding="utf-8"))
    assert (item["video_prompt"], item["audio_prompt"]) == (HARD[1], [HARD[1]])
    assert item["speech_prompt"]["text"] == ""
    empty = json.loads((folder / "verse_bench" / "set1" / f"prompt-{len(HARD)}.json").read_text(encoding="utf-8"))
    assert empty["audio_prompt"] == []  # so that the tool passes AV-A and CLAP over


def test_ids_that_repeat_or_are_no_names_are_numbered_and_told() -> None:
    twice = [replace(p, id="rain") for p in pieces(["a", "b"])]
    slash = [replace(p, id=f"set1/{p.index}.x") for p in pieces(["a", "b"])]
    case = [replace(p, id=name) for p, name in zip(pieces(["a", "b"]), ("rain", "Rain"), strict=True)]
    for given in (twice, slash, case):
        plan = LAYOUT.plan(given)
        assert [place.video for place in plan.places] == ["samples/sample_000000.mp4", "samples/sample_000001.mp4"]
        assert "do not bear the names" in plan.notes[1]
    assert len(LAYOUT.plan(pieces(["a"], has_sound=False)).notes) == 2


def test_its_own_sets_are_read(tmp_path: Path) -> None:
    own = {
        "set1/00000.json": {"video_prompt": "a dog", "audio_prompt": ["barking"], "speech_prompt": {"text": ""}},
        "set3/419.json": {"video_prompt": "a man", "prompt": "a man speaks", "audio_prompt": []},
    }
    for path, item in own.items():
        touch(tmp_path / "sets" / path).write_text(json.dumps(item))
    for name in ("00000.mp4", "00000.wav", "419.mp4", "419.wav", "7.mp4"):
        touch(tmp_path / "mine" / name)
    reading = LAYOUT.read(tmp_path / "mine", tmp_path / "sets")
    assert {f.id: f.text for f in reading.found} == {"7": "", "419": "a man speaks", "00000": "a dog"}
    assert {f.id: bool(f.sound) for f in reading.found} == {"7": False, "419": True, "00000": True}
    assert not LAYOUT.is_certain(tmp_path / "mine")
