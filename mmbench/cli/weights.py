"""`mmbench weights`: list, fetch, verify and find the checkpoints that metrics and systems need."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.cli.examples import WithExamples
from mmbench.console import Format, show_rows
from mmbench.weights.locations import REQUIRE_DIGESTS

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Checkpoints: list, fetch, verify, where.")


def require_digests(asked: bool) -> None:
    """Trust no digest and no commit on first use, in this process and those that it starts."""
    if asked:
        os.environ[REQUIRE_DIGESTS] = "1"


RequireDigests = Annotated[
    bool,
    typer.Option(
        "--require-digests",
        callback=require_digests,
        help="Trust nothing on first use: only published and recorded digests and commits. "
        "So does MMBENCH_REQUIRE_DIGESTS=1, in every command.",
    ),
]
Names = Annotated[list[str], typer.Argument(help="Names from `mmbench weights list`.")]


@app.command(name="list", cls=WithExamples)
def list_(format: opt.Form = Format.table) -> None:
    """List known checkpoints: what is here, how large, under which licence, and what for. Hashes nothing.

    Examples:

      mmbench weights list

      mmbench weights list --format json
    """
    from mmbench.weights.checkpoints import status
    from mmbench.weights.locations import home

    columns = ["name", "status", "verified", "bytes", "licence", "purpose"]
    show_rows(status(), columns, format, "Weights", [f"in {home() / 'weights'} or ./checkpoints"])


@app.command(cls=WithExamples)
def fetch(
    names: Names,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept licences that forbid commercial use; asked once.")
    ] = False,
    offline: opt.Offline = False,
    require_digests: RequireDigests = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    format: opt.Form = Format.table,
) -> None:
    """Download checkpoints, resuming what was interrupted, and verify them.

    Examples:

      mmbench weights fetch i3d vggish

      mmbench weights fetch imagebind clip_bpe --accept-licence
    """
    from mmbench.weights.fetch import fetch as fetch_weights

    rows = []
    for name in names:
        path = fetch_weights(name, accept_licence=accept_licence, offline=offline, quiet=quiet)
        rows.append({"name": name, "path": str(path)})
    show_rows(rows, ["name", "path"], format)


@app.command(cls=WithExamples)
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; default: all that are here.")] = None,
    require_digests: RequireDigests = False,
    format: opt.Form = Format.table,
) -> None:
    """Are the checkpoints what was published? Compares with the published or recorded sha256. Exit code 4 if not.

    Examples:

      mmbench weights verify

      mmbench weights verify i3d --format json
    """
    from mmbench.weights.checkpoints import verify_all

    rows, failure = verify_all(names or [])
    notes = [] if rows else ["No weights are here; see mmbench weights list."]
    show_rows(rows, ["name", "status", "digest", "sha256", "path"], format, notes=notes)
    if failure:
        raise failure


@app.command(cls=WithExamples)
def where(name: Annotated[str, typer.Argument(help="A name from `mmbench weights list`.")]) -> None:
    """Print the path of a checkpoint, for use in scripts.

    Examples:

      mmbench weights where i3d

      ls -l $(mmbench weights where vggish)
    """
    from mmbench.weights.locations import locate

    print(locate(name))
