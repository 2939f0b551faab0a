"""Tables to paste: nothing in a cell is taken for markup, every row has all its columns."""

from __future__ import annotations

import re

import pytest

from mmbench.console import Format, show_rows
from mmbench.markup import write_latex, write_markdown

COLUMNS = ["system", "av_align ↑"]
ROWS = [["tiny_cascade|x & 50 %", "0.312 ± 0.021\nΔ −0.1"], ["[a]\\*b* ~^#$<{}>", "0.1"]]
RIGHT = [False, True]


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


@pytest.mark.parametrize("format", [Format.markdown, Format.latex])
def test_stdout_is_the_table_alone(format: Format, capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"system": "tiny", "value": 0.25}], ["system", "value"], format, "A title", ["a note"])
    printed = capsys.readouterr()
    assert "tiny" in printed.out
    assert "note" not in printed.out
    assert printed.err == "A title\na note\n"
