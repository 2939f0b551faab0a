"""`mmbench preview`: runs to look at and listen to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, show_rows


def preview(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Runs (id, beginning of it, or folder); default: all.")
    ] = None,
    num: Annotated[int, typer.Option("--num", "-n", help="First samples that are shown.")] = 8,
    out: opt.Out = Path("runs"),
    to: Annotated[Path | None, typer.Option(help="Where the files go; default: OUT/preview.")] = None,
    format: opt.Form = Format.table,
) -> None:
    """Show runs side by side, sample by sample: a page that plays them, a contact sheet, and an MP4 of each.

    The page and the MP4s need a browser and nothing else.

    Examples:

      mmbench preview

      mmbench preview ground_truth-bounce independent-bounce --num 4 --to look
    """
    from mmbench.pictures import preview as gallery
    from mmbench.progress import progress

    columns = gallery.open_columns(gallery.find_runs(runs or (), out))
    with progress("preview", num, quiet=format is not Format.table) as bar:
        rows = gallery.preview(columns, num, to or out / "preview", bar)
    show_rows(rows, ["file", "what"], format)
