"""Printed numbers beside ours: differences and their errors by hand, and what is not subtracted."""

from __future__ import annotations

import json

import pytest

from mmbench.console import Format
from mmbench.tables.beside_printed import Line, Ours, PaperTable, make_line
from mmbench.tables.layout import Number
from mmbench.tables.paper_notes import Entry, RowNote, entry_of
from mmbench.tables.paper_text import show_paper

ENTRY = Entry(what="w", command="mmbench c", differs="d", figures={}, printed_runs=400)


def ours(value: float, stderr: float | None, unlike: str = "") -> Ours:
    return Ours(Number(value, stderr), "8", "run", unlike)


def test_a_difference_over_the_error_of_ours() -> None:
    line = make_line(ENTRY, "2", "r", "fvd", 405, ours(411.0, 2.0))
    assert line.difference == Number(6.0, 2.0)
    assert line.over_error == 3.0
    assert line.to_text()["z"] == "+3.0"
    assert line.to_text()["difference"] == "+6.0"


def test_the_printed_numbers_own_error_counts() -> None:
    line = make_line(ENTRY, "11", "base_forward", "mm_diffusion", [0.273, 0.06], ours(0.277, 0.004))
    assert line.printed_error == pytest.approx(0.06 / 20)  # a standard deviation over 400 runs
    assert line.difference is not None
    assert line.difference.stderr == pytest.approx(0.005)  # 3, 4, 5
    assert line.over_error == pytest.approx(0.8)
    assert line.text == "0.273 ± 0.06"


def test_percent_is_compared_with_percent() -> None:
    line = make_line(ENTRY, "12", "overhead", "mm_diffusion", "15%", ours(18.0, 1.5))
    assert (line.printed, line.text, line.over_error) == (15.0, "15 %", 2.0)
    assert line.to_text()["ours"] == "18.0 ± 1.5 %"


@pytest.mark.parametrize("mine", [None, ours(1.0, 0.1, "n = 8, not 2048")])
def test_what_is_not_subtracted_has_no_difference(mine: Ours | None) -> None:
    line = make_line(ENTRY, "2", "r", "fvd", 405, mine)
    assert (line.difference, line.over_error) == (None, None)
    assert line.to_json()["difference"] is None
    assert line.said == ("n = 8, not 2048" if mine else "")


@pytest.mark.parametrize("stderr", [None, 0.0])
def test_without_an_error_there_is_no_z(stderr: float | None) -> None:
    line = make_line(ENTRY, "2", "r", "fvd", 405, ours(411.0, stderr))
    assert line.difference is not None
    assert (line.difference.value, line.over_error) == (6.0, None)


def test_a_reason_is_said_once_with_all_its_places() -> None:
    entry = Entry(what="", command="", differs="", figures={}, rows=(RowNote(table="2", row="a*", reason="why"),))
    lines = [make_line(entry, "2", row, "fvd", 405, ours(411.0, 1.0)) for row in ("a1", "a2", "b")]
    assert PaperTable("2", entry, lines).reasons == ["a1, fvd; a2, fvd: why."]


HOSTILE = 'a_b|c & "d" <i>\\e</i> $f$ [g] 100%'


@pytest.mark.parametrize(
    ("format", "escaped"),
    [
        (Format.markdown, "a\\_b\\|c"),
        (Format.latex, r"a\_b\textbar{}c \&"),
        (Format.html, "&lt;i&gt;\\e&lt;/i&gt;"),
        (Format.csv, '"a_b|c & ""d""'),
        (Format.json, '"a_b|c & \\"d\\"'),
        (Format.table, "a_b|c & "),
    ],
)
def test_every_format_has_every_number_and_escapes_names(
    format: Format, escaped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = PaperTable("2", entry_of("2"), [Line(HOSTILE, "fvd", 447, "447", None, ours(451.0, 2.0), "because")])
    show_paper([table], format)
    shown = capsys.readouterr().out
    assert escaped in shown
    assert all(text in shown for text in ("447", "451", "because"))
    if format is Format.json:
        (row,) = json.loads(shown)
        assert (row["row"], row["difference"], row["z"], row["origin"]) == (HOSTILE, 4.0, 2.0, "run")
        assert row["command"] == entry_of("2").command


def test_a_terminal_of_80_columns_holds_the_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("console", "tables.narrow", "tables.paper_text"):
        monkeypatch.setattr(f"mmbench.{module}.terminal_width", lambda: 80)
    name = "audioldm_animatediff+mmdisco"
    lines = [make_line(entry_of("3"), "3", name, c, v, ours(v, 0.5)) for c, v in (("fvd", 667), ("ib_tv", 0.303))]
    show_paper([PaperTable("3", entry_of("3"), lines), PaperTable("4", entry_of("4"), [])], Format.table)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    lines_shown = shown.splitlines()
    named = next(i for i, line in enumerate(lines_shown) if line.startswith(name))
    numbers = [line.split() for line in lines_shown[named : named + 5] if line.strip().startswith(("fvd", "ib_tv"))]
    assert [line[:2] for line in numbers] == [["fvd", "667"], ["ib_tv", "0.303"]]
    assert "z: the difference over its standard error" in shown.replace("\n", " ")
