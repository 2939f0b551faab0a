"""A report in one file: whole, below its limit, and nothing from outside."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.report.material import gather
from mmbench.report.single import MB, write_single
from mmbench.report.write import write_report
from mmbench.runs.store import SampleStore
from tests.commands import mmbench_here
from tests.report.synthetic import write_runs

TYPED = ("mmbench", "report", "--single")


def write(out: Path, file: Path, limit: float = 50) -> tuple[list[dict[str, Any]], list[str]]:
    return write_single(gather([], out, None, command=TYPED), file, TYPED, limit)


def inside(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The samples and the media of a page."""
    page = file.read_text()
    found = [re.search(rf"^const {name} = (.*);$", page, re.MULTILINE) for name in ("REPORT", "MEDIA")]
    samples, media = (json.loads(match[1]) for match in found if match)
    return samples, media


def test_all_is_in_one_file(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 2, 4, unlike=True)
    row, notes = write(tmp_path / "runs", tmp_path / "page" / "report.html")
    assert notes == []
    assert "4 samples of 2 sets" in row[0]["what"]
    page = (tmp_path / "page" / "report.html").read_text()
    assert [file.name for file in (tmp_path / "page").iterdir()] == ["report.html"]
    assert not re.search(r"""(src|href)=["'](?!data:)""", page), "nothing beside it"
    samples, media = inside(tmp_path / "page" / "report.html")
    files = [f"clips/{clip['file']}" for r in samples["rows"] for clip in r["clips"]]
    assert sorted(media) == sorted(f"{file}{suffix}" for file in files for suffix in (".mp4", ".png"))
    assert all(url.startswith("data:video/mp4;base64,") for name, url in media.items() if name.endswith("mp4"))


@pytest.mark.thorough
def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    out, file = tmp_path / "runs", tmp_path / "report.html"
    write_runs(out, 2, 24, unlike=True)
    whole = write(out, file)[0][0]
    assert "24 samples" in whole["what"]
    limit = 0.6 * file.stat().st_size / MB
    rows, (note,) = write(out, file, limit)
    assert 0.4 * limit < file.stat().st_size / MB <= limit
    samples, _ = inside(file)
    shown = len(samples["rows"])
    assert 0 < shown < 24
    assert note.startswith(f"Clips of the first {shown} of 24 samples fit")
    assert f"first {shown} of 24 samples" in file.read_text()
    assert f"{shown} samples of 2 sets" in rows[0]["what"]
    assert len(samples["scores"]["av_align"][0]) == 24, "plots are of all"
    again = re.search(r"--limit-mb (\d+)", note)
    assert again
    assert write(out, file, float(again[1]))[1] == [], "what it says to try holds them all"


def test_a_limit_below_one_sample_writes_nothing(tmp_path: Path) -> None:
    out, file = tmp_path / "runs", tmp_path / "report.html"
    write_runs(out, 2, 2, unlike=True)
    file.write_text("an earlier one")
    with pytest.raises(MMBenchError, match="one sample takes") as error:
        write(out, file, 0.01)
    assert file.read_text() == "an earlier one"
    assert sorted(f.name for f in tmp_path.iterdir()) == ["report.html", "runs"]
    enough = re.search(r"--limit-mb (\d+)", error.value.next)
    assert enough
    write(out, file, float(enough[1]))
    assert inside(file)[0]["rows"], "what it says to try works"


def test_no_prompt_ends_the_script(tmp_path: Path) -> None:
    store = SampleStore.open(write_runs(tmp_path / "runs", 1, 1)[0])
    record = store.samples / "000000.json"
    hostile = "</script><script>alert(1)</script><!--<script>"
    record.write_text(json.dumps({**json.loads(record.read_text()), "text": hostile}))
    write(tmp_path / "runs", tmp_path / "report.html")
    samples, _ = inside(tmp_path / "report.html")
    assert samples["rows"][0]["text"] == hostile
    page = (tmp_path / "report.html").read_text()
    assert "alert(1)</script>" not in page
    assert page.count("<script>") == page.count("</script>") == 2


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "runs"
    write_runs(out, 2, 2)
    done = mmbench_here(capsys, "report", "--single", "--out", out)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").is_file()
    assert not (out / "report").exists()
    assert mmbench_here(capsys, "report", "--limit-mb", "9", "--out", out).returncode == UsageError.exit_code
    folder = mmbench_here(capsys, "report", "--single", "--to", tmp_path, "--out", out)
    assert "is a folder" in folder.stderr
    assert not list(tmp_path.glob("*.html"))


def test_half_a_character_in_a_name_or_command_keeps_no_page_from_being_written(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 1, 2)
    odd = replace(gather([], tmp_path / "runs", None), names=["a\udcff"], cells={}, scores={})
    typed = ("mmbench", "report", "caf\udce9")
    write_single(odd, tmp_path / "report.html", typed, 50)
    write_report(odd, tmp_path / "report", typed)
    for page in (tmp_path / "report.html", tmp_path / "report" / "index.html"):
        assert "a\\udcff" in page.read_text()
