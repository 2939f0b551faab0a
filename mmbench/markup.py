"""Tables as text to paste or to read in again: GitHub's Markdown, LaTeX with booktabs, HTML and CSV."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "[": "{[}",
        "]": "{]}",
    },  # \\ takes [ as its own
    **{"±": r"$\pm$", "−": "$-$", "Δ": r"$\Delta$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$"},
    **{"†": r"$\dagger$"},
    **{"×": r"$\times$", "∞": r"$\infty$", "≤": r"$\leq$", "≥": r"$\geq$", "…": r"\ldots{}"},
}


UNSEEN = {  # what moves the cursor, turns text around, breaks lines unseen, or is half a character
    *range(32),
    *range(0x7F, 0xA0),
    *(0x061C, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
} - {ord("\n")}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?( ?[±%] ?[\d.]*)?", re.ASCII)
ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in UNSEEN}


def visible(text: str) -> str:
    """A text with what a terminal would obey instead of show written as an escape, a line break as it is."""
    return text.translate(ESCAPES)


class Strong(str):
    """Text of a cell that stands out: bold."""


def write_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as comma-separated values: numbers without rounding, nothing for None and NaN, nested values as JSON.

    A text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    import pandas  # half a second, so only here

    cells = [[_flat(row.get(column)) for column in columns] for row in rows]
    frame = pandas.DataFrame(cells, columns=list(columns), dtype=object)
    return frame.to_csv(index=False, lineterminator="\n").rstrip("\n")


def write_html(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """A table in HTML: a fragment that needs nothing else, everything escaped, a line break in a cell as <br>.

    Args:
        columns: Headers.
        rows: The cells of each row, as many as there are columns.
        right: Which columns are aligned right.
    """
    styles = [' style="text-align: right"' if r else "" for r in right]
    head, *body = [
        "".join(f"<{tag}{style}>{_escape_html(cell)}</{tag}>" for cell, style in zip(row, styles, strict=True))
        for tag, row in (("th", columns), *(("td", row) for row in rows))
    ]
    lines = ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>", *(f"<tr>{row}</tr>" for row in body), "</tbody>"]
    return "\n".join([*lines, "</table>"])


def write_markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """A table in GitHub's Markdown: columns of equal width, `|` escaped, a line break in a cell as <br>.

    Args:
        columns: Headers.
        rows: The cells of each row, as many as there are columns.
        right: Which columns are aligned right.
    """
    text = [[_escape_markdown(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(3, *(len(row[i]) for row in text)) for i in range(len(columns))]
    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
    lines = [
        [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)] for row in text
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def write_latex(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    r"""A LaTeX tabular with the rules of booktabs, every special character escaped, a line break as \shortstack.

    Args:
        columns: Headers.
        rows: The cells of each row, as many as there are columns.
        right: Which columns are aligned right.
    """
    head, *body = [" & ".join(_escape_latex(cell) for cell in row) + r" \\" for row in (columns, *rows)]
    begin = rf"\begin{{tabular}}{{{''.join('r' if r else 'l' for r in right)}}}"
    return "\n".join([begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"])


def _flat(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return value
    return disarmed(value).replace("\r", "\\r").encode(errors="backslashreplace").decode()  # no reader ends a row there


def disarmed(text: str) -> str:
    """A text of a CSV cell that no spreadsheet takes for a formula: one that begins like it gets an apostrophe."""
    if not text.startswith(FORMULA) or NUMBER.fullmatch(text):
        return text
    return "'" + text


def _escape_markdown(cell: str) -> str:
    text = cell.strip()
    for special in "\\`*_[]<|":
        text = text.replace(special, "\\" + special)
    text = re.sub(r" *\n *", "<br>", text)
    return f"**{text}**" if isinstance(cell, Strong) else text


def _escape_latex(cell: str) -> str:
    lines = ["".join(LATEX.get(c, c) for c in line.strip()) for line in cell.split("\n")]
    lines = [re.sub(r"(?<![\w$])-(?=\d)", "$-$", line) for line in lines]
    if isinstance(cell, Strong):
        lines = [rf"\textbf{{{line}}}" for line in lines]
    return lines[0] if len(lines) == 1 else "\\shortstack{" + r" \\ ".join(lines) + "}"


def _escape_html(cell: str) -> str:
    text = re.sub(r" *\n *", "<br>", html.escape(cell.strip()))
    return f"<b>{text}</b>" if isinstance(cell, Strong) else text
