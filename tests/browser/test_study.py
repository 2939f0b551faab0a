"""A blind study as its raters see it: played, answered, left and taken up again, saved and tallied."""

from __future__ import annotations

import csv
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.media.clip_files import write_lossless
from mmbench.study.design import read_study
from mmbench.types import Clip
from tests.commands import mmbench_here

pytestmark = pytest.mark.e2e


def write_clips(folder: Path, tone: float) -> None:
    """Four clips of half a second, with prompts that a page could take for more than text."""
    folder.mkdir()
    t = np.arange(8000, dtype=np.float32) / 16000
    for k in range(4):
        video = np.full((4, 64, 64, 3), 40 * k, np.uint8)
        write_lossless(
            Clip(video, Fraction(8), np.sin(2 * np.pi * tone * t).astype(np.float32), 16000), folder / f"{k}.mkv"
        )
    with (folder / "prompts.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(f"{k}.mkv", f'<b>prompt</b> {k} "quoted" \u202e & more') for k in range(4)]
        csv.writer(file).writerows([("file", "prompt"), *rows])


@pytest.fixture
def study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A study of two folders, with one attention pair of bounce."""
    write_clips(tmp_path / "a", 440)
    write_clips(tmp_path / "b", 880)
    options = ["--pairs", "2", "--raters", "2", "--attention", "1", "--dataset", "bounce", "--out", tmp_path / "study"]
    done = mmbench_here(capsys, "study", "make", tmp_path / "a", tmp_path / "b", *options, "--runs", tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "study"


def play_both(page: Any) -> None:
    for side in "AB":
        page.click(f"#play-{side}")
        page.wait_for_function(f"document.getElementById('seen-{side}').textContent === 'played'", timeout=15000)


def test_a_rater_answers_and_the_tally_counts_it(page: Any, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page.goto(f"file://{study}/pages/rater-1.html")
    page.click("#begin")
    design = read_study(study)
    for number in range(3):
        assert page.text_content("#title") == f"Pair {number + 1} of 3"
        assert page.is_disabled("#next")
        assert page.is_disabled("input >> nth=0")  # nobody judges what was not played
        play_both(page)
        for question in design.questions:
            page.check(f"input[name={question.name}][value=B]")
        wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert wide, "the page scrolls sideways"
        if number == 1:
            page.reload()  # the browser keeps what was answered
            assert page.text_content("#title") == "Pair 2 of 3"
            assert page.is_checked("input[name=video_quality][value=B]")
        page.click("#next")
    with page.expect_download() as download:
        page.click("#save")
    file = study / "answers" / download.value.suggested_filename
    download.value.save_as(file)
    answers = json.loads(file.read_text())
    assert (answers["rater"], len(answers["answers"])) == (1, 3 * 4)
    done = mmbench_here(capsys, "study", "tally", study / "answers", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    on_a = [design.first_is_a(1, item) for item in design.items if item.kind == "pair"]
    assert rows[1]["numbers"]["video_quality"]["percent"] == pytest.approx(100 * sum(on_a) / 2)
    assert rows[1]["numbers"]["video_quality"]["n"] == 2


def test_prompts_are_text_and_clips_are_named_by_nothing(page: Any, study: Path) -> None:
    page.goto(f"file://{study}/pages/rater-2.html")
    page.click("#begin")
    seen = set()
    for _ in range(3):
        seen.add(page.text_content("#prompt"))
        assert re.fullmatch(r"clips/[0-9a-f]{16}\.mp4", page.get_attribute("#clip-A", "src"))
        play_both(page)
        for name in ("video_quality", "audio_quality", "semantic_alignment", "temporal_alignment"):
            page.check(f"input[name={name}][value=undecided]")
        page.click("#next")
    assert sum(text.startswith("<b>prompt</b>") for text in seen) == 2
