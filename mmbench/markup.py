"""Tables as text to paste: GitHub's Markdown, and LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Sequence

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
    **{"×": r"$\times$", "∞": r"$\infty$", "≤": r"$\leq$", "≥": r"$\geq$", "…": r"\ldots{}"},
}


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


def _escape_markdown(cell: str) -> str:
    for special in "\\`*_[]<|":
        cell = cell.replace(special, "\\" + special)
    return cell.replace("\n", "<br>")


def _escape_latex(cell: str) -> str:
    lines = ["".join(LATEX.get(c, c) for c in line) for line in cell.split("\n")]
    return lines[0] if len(lines) == 1 else "\\shortstack{" + r" \\ ".join(lines) + "}"
