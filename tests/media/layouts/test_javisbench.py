"""JavisBench's folder, whose order is that of the rows of its CSV."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from mmbench.errors import UsageError
from mmbench.media.layouts.javisbench import JavisBench
from tests.media.layouts.pieces import HARD, pieces, put, texts_of, touch

LAYOUT = JavisBench()


def test_the_kth_name_has_the_kth_row(tmp_path: Path) -> None:
    given = [p for p in pieces(HARD) if p.index != 2]  # one that failed
    plan = LAYOUT.plan(given)
    folder = put(tmp_path, plan)
    assert [place.video for place in plan.places][:3] == ["sample_0000.mp4", "sample_0001.mp4", "sample_0003.mp4"]
    assert texts_of(plan, LAYOUT.read(folder, None), folder) == [p.text for p in given]
    assert LAYOUT.is_certain(folder)
    pandas = pytest.importorskip("pandas")
    rows = pandas.read_csv(io.BytesIO(plan.tables["prompts.csv"]))
    assert dict(zip(sorted(p.name for p in folder.glob("*.mp4")), rows["text"].tolist(), strict=True)) == {
        place.video: place.piece.text for place in plan.places
    }


def test_more_than_ten_thousand_names_sort_as_their_rows() -> None:
    plan = LAYOUT.plan(pieces([f"prompt {i}" for i in range(10_140)]))
    videos = [place.video for place in plan.places]
    assert videos == sorted(videos)


def test_names_that_sort_wrongly_are_read_by_number_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (2, 1000, 1001, 10000):
        touch(tmp_path / f"sample_{number:04d}.mp4")
        touch(tmp_path / f"sample_{number:04d}.wav")
    touch(tmp_path / "JavisBench.csv").write_text("path,text\n,two\n,a\n,b\n,c\n")
    with caplog.at_level(logging.WARNING, "mmbench"):
        reading = LAYOUT.read(tmp_path, None)
    assert {f.id: f.text for f in reading.found} == {
        "sample_0002": "two",
        "sample_1000": "a",
        "sample_1001": "b",
        "sample_10000": "c",
    }
    assert "mixes up their prompts" in caplog.text


@pytest.mark.parametrize(("change", "what"), [({"text": ""}, "prompt"), ({"text": "NA"}, "prompt"), ({}, "sound")])
def test_a_clip_that_would_stop_it_is_refused_by_name(change: dict[str, str], what: str) -> None:
    given = pieces(["a", "b"])
    given[1] = replace(given[1], has_sound=bool(change), **change)
    with pytest.raises(UsageError, match=rf"Sample 1 \(prompt-1\) has no .*{what}"):
        LAYOUT.plan(given)


def test_other_counts_of_rows_are_refused_and_no_rows_mean_no_prompts(tmp_path: Path) -> None:
    touch(tmp_path / "sample_0000.mp4")
    assert [f.text for f in LAYOUT.read(tmp_path, None).found] == [""]
    touch(tmp_path / "rows.csv").write_text("text\na\nb\n")
    with pytest.raises(UsageError, match=r"2 rows, .* 1 videos"):
        LAYOUT.read(tmp_path, None)
    assert not LAYOUT.is_certain(tmp_path)
