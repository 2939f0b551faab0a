"""av-benchmark's folders and captions."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from mmbench.errors import UsageError
from mmbench.media.layouts.av_benchmark import AVBenchmark
from mmbench.media.layouts.layout import MISSING
from tests.media.layouts.pieces import HARD, pieces, put, texts_of, touch

LAYOUT = AVBenchmark()


def test_names_pair_and_prompts_come_back(tmp_path: Path) -> None:
    plan = LAYOUT.plan(pieces(HARD))
    assert (plan.places[3].video, plan.places[3].sound) == ("video/sample_000003.mp4", "audio/sample_000003.wav")
    folder = put(tmp_path, plan)
    reading = LAYOUT.read(folder, None)
    assert texts_of(plan, reading, folder) == list(HARD)
    assert [f.sound.stem for f in reading.found if f.sound] == [f.id for f in reading.found]
    assert reading.rejected == []
    assert LAYOUT.is_certain(folder)
    assert not plan.notes


def test_pandas_reads_the_names_and_captions_that_were_written() -> None:
    pandas = pytest.importorskip("pandas")
    texts = [*HARD, *sorted(MISSING), "a null hypothesis"]
    plan = LAYOUT.plan(pieces(texts))
    rows = pandas.read_csv(io.BytesIO(plan.tables["captions.csv"])).to_dict(orient="records")
    kept = [text for text in texts if text not in MISSING]
    assert [row["caption"] for row in rows] == kept
    assert [str(row["name"]) for row in rows][:2] == ["sample_000000", "sample_000001"]
    assert any("19 clips without a caption" in note for note in plan.notes)


def test_clips_that_are_short_or_silent_are_told(tmp_path: Path) -> None:
    plan = LAYOUT.plan(pieces(["a", "b"], seconds=2.0, has_sound=False))
    assert {place.sound for place in plan.places} == {None}
    assert "2 clips without sound" in plan.notes[0]
    assert "2 s" in plan.notes[1]
    assert "4.8 s" in plan.notes[1]
    assert "--audio_length=2;" in LAYOUT.next_step("out", plan)
    assert "--audio_length=2.13;" in LAYOUT.next_step("out", LAYOUT.plan(pieces(["a"], seconds=64 / 29.97)))


def test_anybodys_folder_is_read_with_its_own_captions(tmp_path: Path) -> None:
    touch(tmp_path / "video" / "cat.mp4")
    touch(tmp_path / "audio" / "cat.flac")
    lone = touch(tmp_path / "audio" / "dog.wav")
    mine = touch(tmp_path / "mine.csv")
    mine.write_text("id,name,caption\n1,cat,a cat meows\n")
    reading = LAYOUT.read(tmp_path, mine)
    assert [(f.id, f.sound and f.sound.name, f.text) for f in reading.found] == [("cat", "cat.flac", "a cat meows")]
    assert [r.path for r in reading.rejected] == [str(lone)]
    mine.write_text("file,prompt\n")
    with pytest.raises(UsageError, match="columns file,prompt"):
        LAYOUT.read(tmp_path, mine)
    mine.write_bytes(b"name,caption\ncat,\xff\n")
    with pytest.raises(UsageError, match="no CSV file"):
        LAYOUT.read(tmp_path, mine)
    mine.write_text("name,caption\ncat,a cat, meowing\n")
    with pytest.raises(UsageError, match="row 1 has more cells than columns: ' meowing'"):
        LAYOUT.read(tmp_path, mine)
