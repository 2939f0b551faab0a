"""A report of scored folders: its sentences, numbers and samples, and words that a page could take for markup."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from fractions import Fraction
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.media.clip_files import write_lossless
from mmbench.report.data import describe, samples_as_script
from mmbench.report.drawings import draw_histogram
from mmbench.report.material import gather
from mmbench.report.media import events_of
from mmbench.report.write import render_report, write_report
from mmbench.types import Clip
from tests.commands import mmbench_here

HOSTILE = [
    *("<script>alert(1)</script>", "</script><b>", "<!--", "]]>", "<img src=x onerror=alert(1)>", "&lt;b&gt;", "&amp;"),
    *('"quoted"', "it's", "`tick`", "${1}", "{{ 7 * 7 }}", "{% if %}", "{# no #}", "\\u003cb\\u003e", "\\", "//", "/*"),
    *("\u202eright to left", "\u2066isolate\u2069", "שלום", "مرحبا", "👩‍👩‍👧", "é", "e\u0301", "ﬁ", "\u00a0", "\ufeff"),
    *(
        "\u2028line",
        "\u2029paragraph",
        "\x1b[31mred",
        "=1+1",
        "+1",
        "-1",
        "@sum",
        "%0A",
        "null",
        "NaN",
        "__proto__",
        "0",
    ),
]


def write_model(folder: Path, prompts: list[str], late: int) -> None:
    """Clips of a square that jumps at 0.5 and 1.25 s, with a click `late` frames after each jump."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(late)
    for k in range(len(prompts)):
        video = np.zeros((16, 64, 64, 3), np.uint8)
        sound = rng.normal(0, 1e-4, 32000).astype(np.float32)
        for frame in range(16):
            x = 8 + 16 * (frame >= 4) + 16 * (frame >= 10) + k % 3
            video[frame, 20:40, x : x + 12] = 255
        for jump in (4, 10):
            start = (jump + late) * 2000
            sound[start : start + 400] += 0.5
        write_lossless(Clip(video, Fraction(8), sound, 16000), folder / f"{k:02d}.mkv")
    with (folder / "prompts.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "prompt"), *((f"{k:02d}.mkv", p) for k, p in enumerate(prompts))])


@pytest.fixture
def models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Two scored models of four clips, whose sounds are in time and late."""
    for name, late in (("early", 0), ("late", 3)):
        write_model(tmp_path / name, ["a", "b", "c", "d"], late)
    done = mmbench_here(
        capsys, "evaluate", tmp_path / "early", tmp_path / "late", "-m", "av_align", "--out", tmp_path / "runs"
    )
    assert done.returncode == 0, done.stderr
    return tmp_path


def content(material: Any, row_events: Any = None) -> dict[str, Any]:
    """What the browser reads."""
    events = row_events or [[{"seconds": 2.0, "onsets": [], "motion": []}] * len(material.names)] * len(material.rows)
    script = samples_as_script(material, events)
    data: dict[str, Any] = json.loads(script.removeprefix("const REPORT = ").removesuffix(";\n"))
    assert script.isascii()
    return data


def test_the_numbers_are_those_on_record(models: Path) -> None:
    material = gather([str(models / "early"), str(models / "late")], models / "runs", None)
    report = describe(material)
    assert material.names == ["early", "late"]
    cell = material.cells["av_align.mmdisco_96ms"][1]
    assert cell.difference is not None
    excess, metric = report["metrics"]
    assert excess["numbers"][1]["value"] == cell.record.excess
    assert metric["numbers"][1]["value"] == cell.record.value
    clips = f"{models / 'early'} {models / 'late'}"
    assert metric["numbers"][1]["record"]["again"] == f"mmbench evaluate {clips} -m av_align --out {models / 'runs'}"
    data = content(material)
    values = np.array(data["scores"]["av_align"], float)
    assert values.mean(1) == pytest.approx([c.record.value for c in material.cells["av_align.mmdisco_96ms"]], abs=1e-4)
    assert [row["text"] for row in data["rows"]] == ["a", "b", "c", "d"]
    of_excess, of_value = report["verdicts"]
    assert re.match(r"av_align excess: .*late.*early", of_excess)
    assert re.match(r"av_align: .*late.*early", of_value)


def test_a_forest_and_a_histogram_stand_where_their_numbers_are(models: Path) -> None:
    material = gather([str(models / "early"), str(models / "late")], models / "runs", None)
    _, metric = describe(material)["metrics"]
    forest, difference = metric["forest"], material.cells["av_align.mmdisco_96ms"][1].difference
    assert difference is not None
    (whisker,) = forest.whiskers
    assert whisker.low <= whisker.value <= whisker.high
    assert (whisker.value < forest.zero) == (difference.value < 0)
    values = np.array([[0.1, 0.9], [0.2, np.nan], [0.3, 0.8]])
    plot = draw_histogram(values, [0.25, None])
    assert [sum(counts) for counts in plot.counts] == [3, 2]
    assert plot.means[0] == pytest.approx(plot.axis.place(0.2))
    assert plot.chance == (plot.axis.place(0.25), None)


def test_what_clips_were_chosen_by_is_no_verdict_without_saying_so(models: Path) -> None:
    plain = gather([str(models / "early"), str(models / "late")], models / "runs", None)
    metric = "av_align.mmdisco_96ms"
    first, second = plain.cells[metric]
    assert not any("independent" in sentence for sentence in describe(plain)["verdicts"])
    for chosen, other in ((first, second), (second, first)):  # the one that is compared, or its opponent
        optimised = replace(chosen, record=replace(chosen.record, optimised_for=metric))
        cells = [optimised, other] if chosen is first else [other, optimised]
        report = describe(replace(plain, cells={metric: cells}))
        (verdict,) = report["verdicts"]
        assert verdict.endswith(f" No independent evidence: {chosen.record.system} was chosen or guided by {metric}.")
        page = render_report(report, ["mmbench report"])
        shown = report["metrics"][0]["numbers"][cells.index(optimised)]
        assert shown["mark"].endswith("‡")
        text = f"{shown['text']}{shown['mark']}"
        assert f"<td>{text}</td>" in page, "in the numbers of the plot, too"
        assert f"chosen or guided by {metric}" in shown["record"]["beside"]


def test_events_are_those_of_av_align(models: Path) -> None:
    video = np.zeros((16, 64, 64, 3), np.uint8)
    for frame in range(16):
        x = 8 + 16 * (frame >= 4)
        video[frame, 20:40, x : x + 12] = 255
    sound = np.zeros(32000, np.float32)
    sound[16000:16400] = 0.5
    events = events_of(Clip(video, Fraction(8), sound, 16000))
    assert events["seconds"] == 2.0
    assert any(abs(t - 1.0) < 0.15 for t in events["onsets"])
    assert any(abs(t - 0.5) < 0.15 for t in events["motion"])
    silent = events_of(Clip(video, Fraction(8), np.empty(0, np.float32), 16000))
    assert silent["onsets"] == []


def test_every_word_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = '<b>model</b> & "co" {{ 7*7 }} \u202e'
    write_model(tmp_path / name, HOSTILE, 0)
    write_model(tmp_path / "plain", HOSTILE, 1)
    out = tmp_path / "runs"
    done = mmbench_here(capsys, "evaluate", tmp_path / name, tmp_path / "plain", "-m", "av_align", "--out", out)
    assert done.returncode == 0, done.stderr
    material = gather([str(tmp_path / name), str(tmp_path / "plain")], out, None)
    assert [row["text"] for row in content(material)["rows"]] == [prompt.strip() for prompt in HOSTILE]
    page = render_report(describe(material), ["mmbench report", "<i>"])
    assert "<b>" not in page
    assert "<i>" not in page
    assert "49" not in "".join(re.findall(r"<h1>.*?</h1>", page))
    shown = unescape(re.findall(r"<h1>(.*?)</h1>", page)[0])
    assert shown == " · ".join(material.names)


def test_what_cannot_be_reported_is_refused(models: Path) -> None:
    with pytest.raises(UsageError, match="num-samples"):
        gather([str(models / "early")], models / "runs", 0)
    with pytest.raises(UsageError, match="no path"):
        gather(["nothing"], models / "runs", None)
    packed = models / "runs.jsonl"
    packed.touch()
    with pytest.raises(UsageError, match="holds no samples"):
        gather([str(packed)], models / "runs", None)
    with pytest.raises(MMBenchError, match="not scored"):
        gather([str(models / "early")], models / "runs", None, ["fvd"])


def test_one_set_has_a_page_that_says_what_could_not_be_scored(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(models / "broken", ["a", "b"], 0)
    (models / "broken" / "01.mkv").write_bytes(b"no video at all")
    mmbench_here(capsys, "evaluate", models / "broken", "-m", "av_align", "--out", models / "runs")
    options = ["--out", models / "runs", "--to", models / "report"]
    done = mmbench_here(capsys, "report", models / "broken", *options)
    assert done.returncode == 0, done.stderr
    page = (models / "report" / "index.html").read_text()
    assert "Nothing is compared" in page
    assert "n = 1/2 (1 failed)" in page


def test_a_clip_that_breaks_later_is_told_in_its_place(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    material = gather([str(models / "early"), str(models / "late")], models / "runs", None)
    (models / "late" / "02.mkv").write_bytes(b"no video at all")
    rows = write_report(material, models / "report", ["mmbench report"])
    assert rows[-1]["what"] == "1 clips cannot be read: the page says why"
    script = (models / "report" / "samples.js").read_text()
    data = json.loads(script.removeprefix("const REPORT = ").removesuffix(";\n"))
    assert "unreadable" in data["rows"][2]["clips"][1]
    shown = {clip["file"] for row in data["rows"] for clip in row["clips"] if "file" in clip}
    assert len(shown) == 7, "all others"
    assert {file.stem for file in (models / "report" / "clips").glob("*.mp4")} == shown
