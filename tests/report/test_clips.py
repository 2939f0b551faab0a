"""Clips of reports: each is made once, and made again only where its file is another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest

from mmbench.pictures.truth import UNKNOWN, Look
from mmbench.report import clips
from mmbench.report.material import gather
from mmbench.report.write import write_report
from mmbench.runs.store import SampleStore
from tests.report.synthetic import CLIPS, write_runs

Count = Callable[..., int]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Count:
    """Writes a report of the runs, and tells how many clips were made for it."""
    made: list[Path] = []
    write_media = clips.write_media

    def counted(source: Any, stem: Path, look: Look) -> dict[str, Any]:
        made.append(stem)
        return write_media(source, stem, look)

    def report(num: int | None = None, runs: str = "runs", workers: int = 1, **changes: Any) -> int:
        before = len(made)
        material = replace(gather([], tmp_path / runs, num), **changes)
        write_report(material, tmp_path / "report", ["mmbench report"], workers)
        return len(made) - before

    monkeypatch.setattr(clips, "write_media", counted)
    return report


def shown(report: Path) -> set[str]:
    """Names of the clips on a page."""
    script = (report / "samples.js").read_text()
    rows = json.loads(script.removeprefix("const REPORT = ").removesuffix(";\n"))["rows"]
    return {clip["file"] for row in rows for clip in row["clips"] if clip}


def stems(report: Path, suffix: str) -> set[str]:
    return {file.stem for file in (report / "clips").glob(f"*{suffix}")}


@pytest.mark.parametrize("samples", [4, 8])
def test_a_report_makes_every_clip_once_and_a_second_one_none(tmp_path: Path, made: Count, samples: int) -> None:
    write_runs(tmp_path / "runs", 3, samples, unlike=True)
    assert made() == 3 * samples
    assert made() == 0
    for suffix in clips.SUFFIXES:
        assert stems(tmp_path / "report", suffix) == shown(tmp_path / "report")
    assert len(shown(tmp_path / "report")) == 3 * samples


def test_clips_of_one_content_are_made_once(tmp_path: Path, made: Count) -> None:
    write_runs(tmp_path / "runs", 3, 2 * CLIPS)
    assert made(truth=UNKNOWN) == CLIPS
    assert made() == 3 * 2 * CLIPS, "what is true of them differs from row to row"


def test_only_what_is_new_is_made(tmp_path: Path, made: Count) -> None:
    store = SampleStore.open(write_runs(tmp_path / "runs", 2, 4, unlike=True)[1])
    assert made(2) == 4
    assert made() == 4, "the first two samples are there"
    write_runs(tmp_path / "more", 3, 4, unlike=True)
    assert made(runs="more") == 4, "a third system, whose place in the row is another one"
    changed = store.source(1).path
    changed.write_bytes(changed.read_bytes() + b"\xec\x80")
    assert made() == 1
    assert len(stems(tmp_path / "report", ".mp4")) == 8, "those of the third system are gone"


def test_what_is_not_whole_is_made_again_and_other_files_stay(tmp_path: Path, made: Count) -> None:
    write_runs(tmp_path / "runs", 1, 4, unlike=True)
    made()
    folder = tmp_path / "report" / "clips"
    next(folder.glob("*.png")).unlink()
    next(folder.glob("*.json")).unlink()
    (folder / "notes.json").write_text("{}")
    (folder / "mine.mp4").write_bytes(b"mine")
    assert made() in (1, 2), "both may be of one clip"
    assert made(1) == 0
    assert stems(tmp_path / "report", ".mp4") == shown(tmp_path / "report") | {"mine"}
    assert (folder / "notes.json").is_file()


def test_an_interrupted_report_goes_on_where_it_was(
    tmp_path: Path, made: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_runs(tmp_path / "runs", 1, 4, unlike=True)
    counted, calls = clips.write_media, iter(range(4))

    def stopped(source: Any, stem: Path, look: Look) -> dict[str, Any]:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return dict(counted(source, stem, look))

    with monkeypatch.context() as patched:
        patched.setattr(clips, "write_media", stopped)
        with pytest.raises(KeyboardInterrupt):
            made()
    assert not (tmp_path / "report" / "index.html").exists()
    kept = len(stems(tmp_path / "report", ".json"))
    assert kept >= 2
    assert made() == 4 - kept


def test_code_is_parsed_before_there_are_threads(tmp_path: Path, made: Count, monkeypatch: pytest.MonkeyPatch) -> None:
    parsing: list[bool] = []

    def code() -> str:
        parsing.append(current_thread() is main_thread())
        return "code"

    monkeypatch.setattr(clips, "_code", code)
    write_runs(tmp_path / "runs", 1, 2)
    made(workers=2)
    assert parsing[0], "Python 3.11 raises SystemError where two threads parse"
