"""VBench's names, which are prompts as long as these can be names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmbench.errors import UsageError
from mmbench.media.layouts.vbench import VBench
from tests.media.layouts.pieces import HARD, pieces, put, texts_of, touch

LAYOUT = VBench()


def test_prompts_that_can_be_names_are_and_all_come_back(tmp_path: Path) -> None:
    texts = [*HARD, "", ".hidden", "x" * 249, "x" * 250, "é" * 130]
    plan = LAYOUT.plan(pieces(texts))
    folder = put(tmp_path, plan)
    names = [place.video.removeprefix("videos/") for place in plan.places]
    as_prompts = {i for i, name in enumerate(names) if not name.startswith("sample_")}
    assert {texts[i] for i in as_prompts} == {HARD[0], HARD[2], "x" * 249} | {HARD[5]}
    assert names[6] == "a ball bounces-1.mp4"
    assert texts_of(plan, LAYOUT.read(folder, None), folder) == texts
    assert json.loads((folder / "prompts.json").read_text(encoding="utf-8")) == dict(zip(names, texts, strict=True))
    assert {p.suffix for p in (folder / "videos").iterdir()} == {".mp4"}  # VBench's standard mode needs that
    assert LAYOUT.is_certain(folder)


def test_clips_that_it_would_pass_over_are_told() -> None:
    notes = LAYOUT.plan(pieces(["a"] * 7 + ["b / c"])).notes
    assert any("2 clips beyond 5 of a prompt" in note for note in notes)
    assert any("1 prompt cannot be" in note and "custom_input" in note for note in notes)


def test_names_tell_prompts_where_no_file_does(tmp_path: Path) -> None:
    for name in ("a dog-0.mp4", "a dog-1.mp4", "a cat.mp4", "notes.txt"):
        touch(tmp_path / name)
    reading = LAYOUT.read(tmp_path, None)
    assert {f.id: f.text for f in reading.found} == {"a cat": "a cat", "a dog-0": "a dog", "a dog-1": "a dog"}
    assert not LAYOUT.is_certain(tmp_path)
    touch(tmp_path / "mine.json").write_text("[1")
    with pytest.raises(UsageError, match="no prompts by file name"):
        LAYOUT.read(tmp_path, tmp_path / "mine.json")
