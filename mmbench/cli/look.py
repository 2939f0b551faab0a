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
    gif: Annotated[bool, typer.Option("--gif", help="A GIF of each sample, too, for pages that play no MP4.")] = False,
    to: Annotated[Path | None, typer.Option(help="Where the files go; default: OUT/preview.")] = None,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Draw runs and clips side by side, sample by sample: a contact sheet, and an MP4 of each sample.

    In an MP4 all play in step over their spectrograms, and each is heard in turn, its name in red. Marks say when a
    sound begins and when something is seen to happen. Clips pair as `mmbench compare` pairs them. `mmbench report`
    makes the page that plays single clips, with scores, plots and search.

    Examples:

      mmbench preview

      mmbench preview ground_truth-bounce independent-bounce --num 4 --to look

      mmbench preview model_a model_b --gif
    """
    from mmbench.pictures.columns import open_columns
    from mmbench.pictures.preview import find_places
    from mmbench.pictures.preview import preview as draw
    from mmbench.progress import progress

    places, left_out = find_places(runs or (), out, ("mmbench", *sys.argv[1:]))
    columns = open_columns(places, out)
    with progress("preview", num, quiet=format is not Format.table) as bar:
        rows, notes = draw(columns, num, to or out / "preview", bar, gif=gif)
    show_rows(rows, ["file", "what"], format, notes=[*notes, *left_out])
