"""Tables to paste: nothing in a cell is taken for markup, every row has all its columns."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mmbench.console import Format, show_rows
from mmbench.markup import Strong, visible, write_csv, write_html, write_latex, write_markdown

COLUMNS = ["system", "av_align ↑"]
ROWS = [["tiny_cascade|x & 50 %", "0.312 ± 0.021\nΔ −0.1"], ["[a]\\*b* ~^#$<{}>", "0.1"]]
RIGHT = [False, True]
ENGINES = ("pdflatex", "lualatex", "xelatex", "tectonic")


class Reader(HTMLParser):
    """Texts of the cells by row, and the tags that are open where none should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "br":
            self.rows[-1][-1] += "\n"
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in ([], ["table"], ["tbody"]) or data.strip():
            self.rows[-1][-1] += data


def test_markdown_has_every_column_in_every_line() -> None:
    lines = write_markdown(COLUMNS, ROWS, RIGHT).splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [3] * 4
    assert len({len(line) for line in lines}) == 1
    assert re.fullmatch(r"\| -+ \| -+: \|", lines[1])
    assert "0.312 ± 0.021<br>Δ −0.1" in lines[2]
    assert r"\[a\]\\\*b\*" in lines[3]


def test_latex_is_balanced_and_counts_its_columns() -> None:
    text = write_latex(COLUMNS, ROWS, RIGHT)
    assert text.startswith("\\begin{tabular}{lr}\n\\toprule\n")
    assert text.endswith("\\bottomrule\n\\end{tabular}")
    bare = re.sub(r"\\[&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search("[%#_|~^±−Δ↑<>]", bare)
    assert [line.count(" & ") for line in bare.splitlines() if line.endswith(r"\\")] == [1, 1, 1]
    assert r"\shortstack{0.312 $\pm$ 0.021 \\ $\Delta$ $-$0.1}" in text


@pytest.mark.parametrize("engine", [e for e in ENGINES if shutil.which(e)] or [None])
def test_latex_compiles(engine: str | None, tmp_path: Path) -> None:
    if engine is None:
        pytest.skip(f"no TeX engine is installed ({', '.join(ENGINES)})")
    rows = [*ROWS, [Strong("a_b"), Strong("(0.31 ± 0.02)†~*")], ["[x]", "-0.1 → 2 × ∞ ≤ ≥ …"]]
    body = write_latex(COLUMNS, rows, RIGHT)
    text = f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(text)
    options = [] if engine == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run([engine, *options, "table.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 0


def test_html_is_a_whole_fragment_in_which_nothing_is_markup() -> None:
    rows = [*ROWS, ["<script>alert('x')</script>", Strong("1 & 2")]]
    text = write_html(COLUMNS, rows, RIGHT)
    read = Reader(text)
    assert read.rows == [COLUMNS, *rows]
    assert not read.open
    assert read.seen == {"table", "thead", "tbody", "tr", "th", "td", "br", "b"}
    assert text.count('<td style="text-align: right">') == len(rows)
    assert "<b>1 &amp; 2</b>" in text


def test_bold_text_is_bold_everywhere_and_padding_is_the_terminals() -> None:
    rows = [[Strong("  0.3 ± 0.1* "), " x "]]
    assert r"| **0.3 ± 0.1\*** |           x |" in write_markdown(COLUMNS, rows, RIGHT)
    assert r"\textbf{0.3 $\pm$ 0.1*} & x \\" in write_latex(COLUMNS, rows, RIGHT)
    assert "<td><b>0.3 ± 0.1*</b></td>" in write_html(COLUMNS, rows, RIGHT)


def test_a_minus_is_a_minus_in_latex_and_a_hyphen_stays_one() -> None:
    text = write_latex(["a"], [["-0.1 [-2, +3]"], ["tiny+mmdisco-res_frieren-2"]], [False])
    assert r"$-$0.1 {[}$-$2, +3{]}" in text
    assert r"tiny+mmdisco-res\_frieren-2" in text


def test_csv_holds_values_as_they_are() -> None:
    rows = [
        {"name": 'a, "b"\nc', "n": 8, "value": 0.1 + 0.2, "about": {"x": [1]}, "left out": 1},
        {"name": "é", "n": None, "value": float("nan")},
    ]
    first, second = csv.DictReader(io.StringIO(write_csv(["name", "n", "value", "about"], rows)))
    assert first == {"name": 'a, "b"\nc', "n": "8", "value": repr(0.1 + 0.2), "about": json.dumps({"x": [1]})}
    assert second == {"name": "é", "n": "", "value": "", "about": ""}


@pytest.mark.parametrize("format", [Format.markdown, Format.latex, Format.html, Format.csv])
def test_stdout_is_the_table_alone(format: Format, capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"system": "tiny", "value": 0.25}], ["system", "value"], format, "A title", ["a note"])
    printed = capsys.readouterr()
    assert "tiny" in printed.out
    assert "note" not in printed.out
    assert printed.err == "A title\na note\n"


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x00", "\x7f", "\x9b", "\x85", "\u2028", "\u202e", "\ud800"])
def test_what_a_terminal_would_obey_is_shown_as_an_escape(character: str) -> None:
    shown = visible(f"a{character}b\nc")
    assert shown == f"a{character.encode('unicode_escape').decode()}b\nc"
    assert visible(shown) == shown
    assert shown.replace("\n", "").isprintable()


def test_letters_of_every_script_and_signs_are_shown_as_they_are() -> None:
    text = "Ünï ∆ 日本語 עברית 👩‍🎤 −0.5 ± 1\u00a0%"
    assert visible(text) == text


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")'])
def test_no_cell_of_a_csv_file_is_a_formula(text: str) -> None:
    (cell,) = list(csv.DictReader(io.StringIO(write_csv(["a"], [{"a": text}]), newline="")))
    assert cell["a"] == "'" + text


@pytest.mark.parametrize("text", ["-0.5", "+1.5e-3", "-0.5 ± 0.1", "−1", "a=b", "-3 %"])
def test_numbers_and_other_texts_of_a_csv_file_stay(text: str) -> None:
    assert write_csv(["a"], [{"a": text}]) == f"a\n{text}"


@pytest.mark.parametrize(("text", "cell"), [("x\ud800", "x\\ud800"), ("\r=1", "'\\r=1"), ("a\rb", "a\\rb")])
def test_what_a_csv_file_cannot_hold_is_an_escape(text: str, cell: str) -> None:
    assert write_csv(["a"], [{"a": text}]) == f"a\n{cell}"
