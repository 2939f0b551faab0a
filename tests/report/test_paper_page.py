"""The page of the paper's tables and figures: all numbers, reasons from the data file, names that look like markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from mmbench.experiments.published.figures import gather_figures
from mmbench.experiments.published.gather import gather_tables
from mmbench.report.paper_figures import CurveSet, PaperFigure, draw_curves
from mmbench.report.paper_page import render_paper_page
from mmbench.tables import paper_notes
from mmbench.tables.paper_notes import entry_of
from mmbench.tables.published import published
from tests.builders import strip_checksums
from tests.commands import mmbench_here
from tests.experiments.paper_material import add_run, add_samples, add_sweep, add_toy

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} & \"q\" 'a'"
PNG = b"\x89PNG\r\n\x1a\n not looked at"


def page_of(place: Path) -> str:
    return render_paper_page(gather_tables([place]), gather_figures([place]), "mmbench report --paper")


def text_of(page: str) -> str:
    """What a reader sees, without markup, styles and scripts."""
    bare = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", " ", bare))


def test_without_records_it_has_every_printed_number_and_command(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path))
    words = set(text.split())
    for table in published().values():
        for cell in (cell for row in table["rows"] for cell in row if cell is not None):
            values = cell if isinstance(cell, list) else [cell]
            for value in values:
                shown = value.rstrip("%") if isinstance(value, str) else f"{value:g}"
                assert shown in words or shown in text, value
    for entry in paper_notes.read_entries():
        assert entry.command in text
        assert entry.differs in text
    assert text.count("Nothing of ours is on record.") == 6


def test_ours_stand_beside_with_difference_z_and_reason(tmp_path: Path) -> None:
    add_run(tmp_path, "mm_diffusion+mmdisco", "landscape_ind", {"fvd": (411.0, 2.0)})
    page = page_of(tmp_path)
    (row,) = [r for r in re.findall(r"<tr.*?</tr>", page, re.DOTALL) if "411.0 ± 2.0" in r]
    cells = [cell.strip() for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)]
    assert cells[:7] == ["landscape, mm_diffusion+mmdisco", "fvd", "405", "411.0 ± 2.0", "+6.0", "+3.0", "2048"]
    assert "learnt them by heart" in cells[7]
    assert 'class="right far"' in row
    assert "1 of 12 numbers here, 1 with |z| above 2" in page


@pytest.fixture
def other_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the data file that is read instead."""
    file = tmp_path / "notes.toml"
    file.write_text(paper_notes.FILE.read_text())
    monkeypatch.setattr(paper_notes, "FILE", file)
    paper_notes.read_entries.cache_clear()
    yield file
    paper_notes.read_entries.cache_clear()


def test_reasons_and_commands_come_from_the_data_file(tmp_path: Path, other_notes: Path) -> None:
    add_run(tmp_path, "mm_diffusion+mmdisco", "landscape_ind", {"fvd": (411.0, 2.0)})
    for known, other in (
        ("learnt them by heart", "knew them already"),
        ("mmbench toy --seeds 5", "mmbench toy --seeds 9"),
    ):
        assert known in page_of(tmp_path)
        other_notes.write_text(other_notes.read_text().replace(known, other))
        paper_notes.read_entries.cache_clear()
        page = page_of(tmp_path)
        assert known not in page
        assert other in page


def test_names_that_look_like_markup_are_text(tmp_path: Path) -> None:
    (table,) = gather_tables([tmp_path], ["2"])
    line = replace(table.lines[0], row=HOSTILE, reason=HOSTILE)
    run = add_run(tmp_path, "mm_diffusion", "landscape_ind", {"fvd": (450.0, 0.5)})
    add_sweep(tmp_path, "table9", {"no guidance": run}, system=HOSTILE)
    small = gather_tables([tmp_path], ["9"])[0].miniatures
    hostile = replace(table, lines=[line], notes=[HOSTILE], miniatures=small)
    points = [{"row": HOSTILE, "x": x, "metric": HOSTILE, "value": 1.0 + x, "stderr": 0.1} for x in (0, 1, 2)]
    curves = CurveSet(HOSTILE, HOSTILE, draw_curves(points), False)
    figure = PaperFigure("5", entry_of("8"), curve_sets=[curves], notes=[HOSTILE])
    figure = replace(figure, entry=replace(figure.entry, figures={"5": HOSTILE}))
    page = render_paper_page([hostile], [figure], HOSTILE)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("<script>") == 1
    assert "{{ 7 * 7 }}" in page
    assert text_of(page).count("alert(1)</script>") >= 6


def test_figures_show_what_is_on_record(tmp_path: Path) -> None:
    add_toy(tmp_path / "toy", {("ind", "gt"): [1.67]})
    (tmp_path / "toy" / "figure2_ind_sigma0.25.png").write_bytes(PNG)
    (tmp_path / "toy" / "figure4_ood_sigma0.1.png").write_bytes(PNG)  # of another sigma than the paper's
    runs = tmp_path / "runs"
    for system in ("mm_diffusion", "mm_diffusion+mmdisco", "tiny"):
        add_samples(runs, system, "landscape_ind")
    figures = {figure.number: figure for figure in gather_figures([tmp_path, runs])}
    assert list(figures) == ["2", "3", "4", "5", "6", "7"]
    assert [len(figures[number].pictures) for number in figures] == [1, 0, 0, 0, 1, 0]
    (sheet,) = figures["6"].pictures
    assert sheet.png.startswith(b"\x89PNG")
    assert sheet.caption == "Ours: mm_diffusion, mm_diffusion+mmdisco on landscape_ind, seed 0"
    page = render_paper_page([], list(figures.values()), "")
    assert page.count("data:image/png;base64,") == 2


def test_a_course_of_training_is_drawn_to_scale(tmp_path: Path) -> None:
    runs = {
        row: add_run(tmp_path, system, "landscape_ind", {"fvd": (value, 2.0)})
        for row, system, value in (
            ("no guidance", "mm_diffusion", 450.0),
            ("1/6 of the training", "mm_diffusion+mmdisco-a", 430.0),
            ("2/6 of the training", "mm_diffusion+mmdisco-b", 410.0),
        )
    }
    training = {"learning_rate": 1e-3, "batch_size": 16, "epochs": 300.0}
    add_sweep(tmp_path, "figure5", runs, training=training)
    add_sweep(tmp_path, "figure5", runs, training=training, name="small", system="tiny", dataset="bounce")
    figure = next(figure for figure in gather_figures([tmp_path]) if figure.number == "5")
    assert [s.is_miniature for s in figure.curve_sets] == [False, True]
    (curve,) = figure.curve_sets[0].curves
    first, second = curve.points
    assert curve.base is not None
    assert second.y - first.y == pytest.approx(first.y - curve.base, abs=0.1)  # 20 and 20 lower: downwards on a page
    assert second.y > first.y
    assert first.low - first.y == pytest.approx((second.y - first.y) / 10, abs=0.1)
    assert second.x - first.x == pytest.approx(first.x - curve.across.place(0.0), abs=0.1)
    assert first.text == "1/6 of the training: 430 ± 2"
    page = render_paper_page([], [figure], "")
    assert page.count("In miniature, not the paper") == 1


def test_a_sweep_that_mixes_what_does_not_compare_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    first = add_run(tmp_path, "mm_diffusion", "landscape_ind", {"fvd": (450.0, 2.0)})
    other = add_run(tmp_path, "mm_diffusion+mmdisco", "landscape_ind", {"fvd": (430.0, 2.0)})
    lines = tmp_path / other / "records.jsonl"
    strip_checksums(lines)
    lines.write_text(json.dumps(json.loads(lines.read_text()) | {"signature": "fvd.stylegan_v_16f||another"}) + "\n")
    for file in (tmp_path / other / "scores").iterdir():
        file.unlink()
    (tmp_path / other / "scores").rmdir()
    for table, row in (("figure5", "1/6 of the training"), ("table9", "C=32, L=1")):
        add_sweep(tmp_path, table, {"no guidance": first, row: other})
    figure = next(figure for figure in gather_figures([tmp_path]) if figure.number == "5")
    (table9,) = gather_tables([tmp_path], ["9"])
    for notes in (figure.notes, table9.notes):
        assert "is not shown: fvd.stylegan_v_16f cannot be compared across signature" in " ".join(notes)
    assert not table9.has_ours


def test_the_command_writes_one_file_and_refuses_what_it_would_not_heed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    add_toy(tmp_path / "mine", {("ind", "all"): [1.9, 2.1]})
    done = mmbench_here(capsys, "report", "--paper", "mine", "--to", "page", "--format", "json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["what"].startswith("1 of ")
    assert [file.name for file in (tmp_path / "page").iterdir()] == ["index.html"]
    page = (tmp_path / "page" / "index.html").read_text()
    assert "2.00 ± 0.10" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "something from outside"
    assert "http" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    add_toy(tmp_path / "runs" / "toy", {("ood", "all"): [1.9, 2.1]})
    done = mmbench_here(capsys, "report", "--paper", "mine", "--format", "json")
    assert json.loads(done.stdout)[0]["what"].startswith("2 of ")
    assert (tmp_path / "runs" / "paper" / "index.html").is_file()
    refused = mmbench_here(capsys, "report", "--paper", "--num-samples", "3")
    assert refused.returncode == 2
    assert "try: mmbench report --paper" in refused.stderr
    assert mmbench_here(capsys, "report", "--paper", "nowhere").returncode == 2
