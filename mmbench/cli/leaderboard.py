"""`mmbench leaderboard`: records of many people's runs, ranked where they compare."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.cli.examples import WithExamples
from mmbench.console import Format, show_rows

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="A leaderboard: what to send, what is taken, and its page."
)

Board = Annotated[Path, typer.Option(help="Folder of the leaderboard: a file for each submission.")]


@app.command(cls=WithExamples)
def export(
    team: Annotated[str, typer.Option(help="Who sends the records.")],
    licence: Annotated[str, typer.Option(help="Under which they may be shown, such as CC-BY-4.0.")],
    runs: Annotated[
        list[str] | None, typer.Argument(help="Runs (id, beginning of it, or folder); default: all of them.")
    ] = None,
    to: Annotated[Path, typer.Option(help="The file to send, a new one.")] = Path("submission.jsonl"),
    version: Annotated[str, typer.Option(help="Of the systems; another one for each change of theirs.")] = "1",
    link: Annotated[str, typer.Option(help="Page of the system: https://...")] = "",
    date: Annotated[str, typer.Option(help="YYYY-MM-DD; default: today.")] = "",
    with_samples: Annotated[
        bool,
        typer.Option("--with-samples", help="Prompts and values of all samples, too: differences are then paired."),
    ] = False,
    metric: opt.Metric = None,
    num_samples: Annotated[int | None, typer.Option("--num-samples", "-n", help="Only records of this n.")] = None,
    out: opt.Out = Path("runs"),
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Write the records of scored runs to a file that a leaderboard takes.

    Examples:

      mmbench leaderboard export --team "My lab" --licence CC-BY-4.0

      mmbench leaderboard export tiny-bounce --team "My lab" --licence CC-BY-4.0 --with-samples --to tiny.jsonl
    """
    import time

    from mmbench import __version__
    from mmbench.leaderboard.export import export as export_records
    from mmbench.leaderboard.submission import Author

    command = ("mmbench", *sys.argv[1:])
    author = Author(team, version, link, licence, date or time.strftime("%Y-%m-%d", time.gmtime()), __version__)
    rows, notes = export_records(runs or (), out, author, to, metric or (), num_samples, with_samples, command)
    sent = f"Written to {to}. Its maker adds it: {shlex.join(['mmbench', 'leaderboard', 'add', str(to)])}"
    show_rows(rows, ["system", "metric", "n", "value"], format, notes=[*notes, sent])


@app.command(cls=WithExamples)
def add(
    files: Annotated[list[Path], typer.Argument(help="Submissions, as `mmbench leaderboard export` wrote them.")],
    board: Board = Path("board"),
    dry_run: opt.DryRun = False,
    format: opt.Form = Format.table,
) -> None:
    """Put submissions on a leaderboard: all of them, or none where a line of one is refused, which is named.

    Examples:

      mmbench leaderboard add submission.jsonl

      mmbench leaderboard add lab_a.jsonl lab_b.jsonl --board board --dry-run
    """
    from mmbench.leaderboard.board import add as add_files

    added = add_files(files, board, dry_run)
    rows = [
        {
            "file": str(one.file),
            "team": one.entries[0].author.team,
            "systems": len({e.record.system for e in one.entries}),
            "records": len(one.entries),
        }
        for one in added
    ]
    notes = list(dict.fromkeys(note for one in added for note in one.notes))
    notes += ["Nothing was written: --dry-run."] * dry_run
    show_rows(rows, list(rows[0]), format, notes=notes)


@app.command(cls=WithExamples)
def build(
    board: Board = Path("board"),
    to: Annotated[Path, typer.Option(help="Folder of the page; files of an earlier one are replaced.")] = Path("site"),
    title: Annotated[str, typer.Option(help="Of the page.")] = "Leaderboard",
    format: opt.Form = Format.table,
) -> None:
    """Write the leaderboard's page, and its rows as JSON and CSV; the same board gives the same bytes.

    Examples:

      mmbench leaderboard build --board board --to site
    """
    from mmbench.leaderboard.board import read_board
    from mmbench.leaderboard.build import build as build_site
    from mmbench.leaderboard.ranking import rank_all

    show_rows(build_site(rank_all(read_board(board)), to, title), ["file", "what"], format)
