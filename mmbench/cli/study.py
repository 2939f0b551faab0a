"""`mmbench study`: blind studies of two systems with people."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.cli.examples import WithExamples
from mmbench.console import Format, show_rows

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Blind studies with people: pages, and their tally."
)

Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the study, a new one.")]


@app.command(cls=WithExamples)
def make(
    first: Annotated[str, typer.Argument(help="Run or folder of clips; of the paper's table the pair alone.")],
    second: Annotated[str, typer.Argument(help="What it is compared with: the same prompts and seed.")],
    questions: Annotated[str, typer.Option(help="paper, or a TOML file of questions.")] = "paper",
    pairs: Annotated[int, typer.Option(help="Pairs of clips.")] = 10,
    raters: Annotated[int, typer.Option(help="Pages, one for each rater.")] = 8,
    attention: Annotated[int, typer.Option(help="Pairs of a real clip and real halves that do not match.")] = 2,
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Whose clips those are; default: the runs'.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of which pairs, which side and which order.")] = 0,
    runs: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    out: Folder = Path("study"),
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Make a blind study: a page for each rater, who sees two clips at a time and is not told which is which.

    Give raters the folder OUT/pages; OUT/key.json says which clip is whose and stays with you.

    Examples:

      mmbench study make tiny-bounce tiny+mmdisco-bounce --pairs 4 --raters 2

      mmbench study make my_model other_model --dataset vggsound --questions questions.toml
    """
    from mmbench.progress import progress
    from mmbench.study.design import ANSWERS, KEY, PAGES
    from mmbench.study.make import make_study
    from mmbench.study.questions import read_questions

    command = ("mmbench", *sys.argv[1:])
    asked = read_questions(questions)
    with progress("study", pairs, quiet=format is not Format.table) as bar:
        study = make_study((first, second), runs, out, asked, pairs, raters, attention, seed, dataset, command, bar)
    rows = [
        {"file": str(out / PAGES / f"rater-{k}.html"), "what": f"for rater {k}, with {out / PAGES / 'clips'} beside it"}
        for k in range(1, study.raters + 1)
    ]
    rows += [{"file": str(out / KEY), "what": "which clip is whose: for nobody else"}]
    put = f"Put the raters' files into {out / ANSWERS}, then: mmbench study tally {out / ANSWERS}"
    show_rows(rows, ["file", "what"], format, notes=[put])


@app.command(cls=WithExamples)
def tally(
    answers: Annotated[list[Path], typer.Argument(help="Raters' files, or the folder that holds them.")],
    study: Annotated[Path | None, typer.Option(help="Folder of the study; default: the one above the answers.")] = None,
    attentive: Annotated[
        bool, typer.Option("--attentive", help="Leave raters out who fail the attention pairs.")
    ] = False,
    format: opt.Form = Format.table,
) -> None:
    """Count what raters answered, as Table 14 of the paper, whose numbers stand beside its four questions.

    Examples:

      mmbench study tally study/answers

      mmbench study tally study/answers/*.json --attentive --format markdown
    """
    from mmbench.errors import UsageError
    from mmbench.study import tally as counting
    from mmbench.study.answers import read_answers
    from mmbench.study.design import find_study, read_study

    files = sorted(file for path in answers for file in (path.glob("*.json") if path.is_dir() else [path]))
    if not files:
        raise UsageError(f"{answers[0]} holds no file of answers.", "what raters' pages save")
    design = read_study(study or find_study(files))
    found = read_answers(design, files)
    without = list(found.inattentive(design)) if attentive else []
    if len(without) == len(found.files):
        raise UsageError(
            "--attentive leaves out every rater.", "one who attended", "the same command without --attentive"
        )
    tallies = counting.tally(design, found, without)
    rows = counting.to_rows(design, tallies)
    if format is Format.json:
        rows = [{**row, "questions": [asdict(t) for t in tallies]} for row in rows]
    title = f"Study of {' and '.join(design.systems)}: {len(found.files)} of {design.raters} raters"
    columns = [name for name in rows[0] if name != "numbers"]
    show_rows(rows, columns, format, title, counting.describe(design, found, tallies, without))
