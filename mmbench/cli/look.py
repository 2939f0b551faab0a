"""`mmbench preview`: runs and clips to look at and listen to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, show_rows


def preview(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Runs (id, beginning of it, or folder), or clips; default: all runs.")
    ] = None,
    num: Annotated[int, typer.Option("--num", "-n", min=1, help="First samples that are shown.")] = 8,
    out: opt.Out = Path("runs"),
    to: Annotated[Path | None, typer.Option(help="Where the files go; default: OUT/preview.")] = None,
    format: opt.Form = Format.table,
) -> None:
    """Show runs and clips side by side, sample by sample: a page that plays them, a contact sheet, and an MP4 of each.

    The page and the MP4s need a browser and nothing else. Clips pair as `mmbench compare` pairs them.

    Examples:

      mmbench preview

      mmbench preview ground_truth-bounce independent-bounce --num 4 --to look

      mmbench preview model_a model_b
    """
    from mmbench.pictures.columns import open_columns
    from mmbench.pictures.preview import find_places
    from mmbench.pictures.preview import preview as write_gallery
    from mmbench.progress import progress

    places, left_out = find_places(runs or (), out, ("mmbench", *sys.argv[1:]))
    columns = open_columns(places, out)
    with progress("preview", num, quiet=format is not Format.table) as bar:
        rows, notes = write_gallery(columns, num, to or out / "preview", bar)
    show_rows(rows, ["file", "what"], format, notes=[*notes, *left_out])
