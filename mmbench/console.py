"""What commands print: results on stdout as table, JSON or bare values; logs and errors on stderr."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from mmbench.errors import MMBenchError
from mmbench.markup import Strong, visible, write_csv, write_html, write_latex, write_markdown

TOGETHER = r"(?<=\d) (?=%)|(?<=\bn) (?=[=≈])|(?<=\bn [=≈]) (?=\d)"  # spaces at which no line is broken
GAP = 2  # characters between the columns of a table
LAUNCHERS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"))  # torchrun's and srun's variables
log = logging.getLogger("mmbench")


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"
    markdown = "markdown"
    latex = "latex"
    html = "html"
    csv = "csv"
    quiet = "quiet"


class _Handler(logging.Handler):
    """Writes to whatever stderr is at that moment: while a bar is drawn, above it."""

    def emit(self, record: logging.LogRecord) -> None:
        print(visible(self.format(record)), file=sys.stderr)


def name_follower(environ: Mapping[str, str] = os.environ) -> str:
    """What leads the lines of a launcher's process that is not the first: "rank 1 of 2: "; "" for any other."""
    for rank, count in LAUNCHERS:
        if rank in environ and count in environ:
            return "" if environ[rank] == "0" else f"rank {environ[rank]} of {environ[count]}: "
    return ""


def setup(verbose: int = 0) -> None:
    """Send logs to stderr: warnings, with -v what is done, with -vv details."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = _Handler()
    handler.setFormatter(logging.Formatter(name_follower() + "%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    log.setLevel(level)


def jsonable(value: Any) -> Any:
    """Convert a value to what every JSON reader accepts: NaN and infinity become null, keys become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    return value


def show_json(value: Any) -> None:
    """Print a value as JSON: in ASCII where stdout cannot take more, or a terminal would obey some of the text."""
    text = json.dumps(jsonable(value), indent=1, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        plain = visible(text) == text
    except UnicodeEncodeError:
        plain = False
    print(text if plain else json.dumps(jsonable(value), indent=1))


def terminal_width() -> int:
    """Characters in a line of stdout: the terminal's, or COLUMNS; no end for a pipe, where nothing is folded."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


def show_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    format: Format,
    title: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Print rows as a table of `columns`, as JSON of whole rows, or with quiet the first column only.

    Markdown, LaTeX and HTML are the same table to paste, CSV its values; title and notes then go to stderr.

    Args:
        rows: One mapping per row; cells of a table are str(value), empty for None, bold for a `Strong`.
        columns: Keys to show, in order; also the headers.
        format: How it is printed.
        title: Line above the table.
        notes: Lines below the table.
    """
    if format is Format.json:
        show_json(list(rows))
        return
    if format is Format.quiet:
        for row in rows:
            print(visible(str(row.get(columns[0], ""))))
        return
    cells = [[_text(row.get(c)) for c in columns] for row in rows]
    numeric = [bool(rows) and all(_is_numeric(row.get(c)) for row in rows) for c in columns]
    if format is not Format.table:
        write = {Format.markdown: write_markdown, Format.latex: write_latex, Format.html: write_html}.get(format)
        print(write(columns, cells, numeric) if write else write_csv(columns, rows))
        for line in (title, *notes):  # for people, so that the table alone goes into a file
            if line:
                print(visible(line), file=sys.stderr)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(Text(name, justify="right" if right else "left"), overflow="fold")
    for texts in cells:
        table.add_row(*(_styled(text, right) for text, right in zip(texts, numeric, strict=True)))

    class Printer(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to the command's one handler that the reader has gone."""
            raise BrokenPipeError

    console = Printer(highlight=False, width=terminal_width(), height=25, markup=False)  # rich heeds both or none
    if title:
        console.print(visible(title), style="bold")
    console.print(table)
    show_notes(notes)


def show_notes(notes: Sequence[str]) -> None:
    """Print lines below a table, after an empty one, folded between words."""
    for note in ("", *notes) if notes else ():
        print("\n".join(_fold(note, "", "")))


def _text(cell: Any) -> str:
    text = "" if cell is None else visible(str(cell))
    return Strong(text) if isinstance(cell, Strong) else text


def _styled(text: str, right: bool) -> Any:
    """A cell for rich; text that is padded already keeps its place."""
    from rich.text import Text

    side: Literal["left", "right"] = "right" if right and text == text.strip() else "left"
    return Text(text, "bold" if isinstance(text, Strong) else "", justify=side)


def _is_numeric(cell: Any) -> bool:
    return isinstance(cell, int | float | None) or (isinstance(cell, str) and cell.lstrip(" (")[:1] in "+-−0123456789")


def table_width(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Characters that a table takes: its widest cells and the gaps between them."""
    cells = {c: [c, *("" if row.get(c) is None else str(row[c]) for row in rows)] for c in columns}
    widest = [max(len(line) for text in texts for line in text.split("\n")) for texts in cells.values()]
    return sum(widest) + GAP * (len(columns) - 1)


def show_mapping(value: Mapping[str, Any], format: Format, indent: str = "") -> None:
    """Print one record as aligned lines, as JSON, as a table of names and values, or with quiet its values only.

    Args:
        value: Names and values.
        format: How it is printed.
        indent: What begins every line of the aligned ones, which are folded between words.
    """
    if format is Format.json:
        show_json(value)
    elif format is Format.quiet:
        print(visible("\n".join(str(v) for v in value.values())))
    else:
        texts = {
            key: json.dumps(jsonable(cell), ensure_ascii=False) if isinstance(cell, Mapping | list | tuple) else cell
            for key, cell in value.items()
        }
        if format is not Format.table:
            return show_rows([{"name": key, "value": text} for key, text in texts.items()], ["name", "value"], format)
        width = max((len(k) for k in value), default=0)
        for key, text in texts.items():
            print("\n".join(_fold(str(text), f"{indent}{key:<{width}}  ", indent + " " * (width + 2))))
    return None


def _fold(text: str, first: str, rest: str) -> list[str]:
    """Lines of a text, as wide as the terminal; nothing is broken inside a word, or between a number and its unit."""
    lines: list[str] = []
    for line in re.sub(TOGETHER, "\u00a0", visible(text)).split("\n"):
        start = rest if lines else first
        wrapped = textwrap.wrap(
            line,
            terminal_width(),
            initial_indent=start,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
        )
        lines += wrapped or [start.rstrip()]
    return [line.replace("\u00a0", " ") for line in lines]


def show_error(error: MMBenchError) -> None:
    """Print what was found, what was expected and what to type next, on stderr; a follower says the first alone."""
    if follower := name_follower():
        print(visible(f"{follower}{error.found}"), file=sys.stderr)
        return
    print(visible(f"error: {error.found}"), file=sys.stderr)
    if error.expected:
        print(visible(f"  expected: {error.expected}"), file=sys.stderr)
    if error.next:
        print(visible(f"  try: {error.next}"), file=sys.stderr)
