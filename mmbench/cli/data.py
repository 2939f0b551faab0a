"""`mmbench data`: a user's own copy of a dataset: what is wrong with it, and its videos made ready once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmbench.cli import options as opt
from mmbench.cli.examples import WithExamples
from mmbench.console import Format, setup, show_mapping, show_rows

if TYPE_CHECKING:
    from mmbench.datasets.copies.conformed import Entry
    from mmbench.datasets.copies.video_copy import VideoCopy

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Your copy of a dataset's videos: check, prepare.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="DATASET", help="A dataset of videos that you have: vggsound, landscape, landscape_ind, aistpp."
    ),
]
Root = Annotated[Path | None, typer.Option("--root", help="Where the copy is. Default: where the dataset looks.")]


@app.command("check", cls=WithExamples)
def check_videos(
    dataset: Name,
    root: Root = None,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Which videos of your copy cannot be used? Missing, corrupt, too short, without sound. Writes nothing.

    Reads every file, but decodes only first frames; `mmbench data prepare` finds damage further in, too. Missing videos
    are counted; --format json names them, as rows like the others.

    Examples:

      mmbench data check vggsound --root /data/vggsound

      mmbench data check vggsound --format json > problems.json

      mmbench data check landscape_ind --root /data/landscape
    """
    from mmbench.datasets.copies.conformed import examine_videos
    from mmbench.datasets.copies.video_copy import open_copy

    setup(verbose)
    copy = open_copy(dataset, root)
    files, quiet = sorted(copy.videos.values()), format is not Format.table
    entries = examine_videos(copy.root, files, copy.format, quiet, copy.preparation.why)
    _show(copy, entries, format)


@app.command("prepare", cls=WithExamples)
def prepare_copy(
    dataset: Name,
    root: Root = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: all cores.")] = None,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Decode and scale every video once, so that runs need not; and list those that cannot be used.

    What is made comes to the folder `prepared` of the copy, lossless, equal to what runs would make of the videos: the
    one clip of each, or, where clips begin anywhere (landscape_ind, aistpp), ten small pictures a second and the sound,
    some 3 MB per 10 s. Interrupted, the same command continues; later it makes only what is new or changed.

    Examples:

      mmbench data prepare vggsound --root /data/vggsound

      mmbench run --system auffusion_vc2 --dataset vggsound:/data/vggsound

      mmbench data prepare landscape_ind --root /data/landscape --workers 8
    """
    from mmbench.datasets.copies.prepare import prepare_videos
    from mmbench.datasets.copies.video_copy import open_copy

    setup(verbose)
    copy = open_copy(dataset, root)
    quiet = format is not Format.table
    entries = prepare_videos(copy.root, copy.videos, copy.preparation, workers=workers, quiet=quiet)
    _show(copy, entries, format)


@app.command("caption", cls=WithExamples)
def caption_videos(
    dataset: Name,
    root: Root = None,
    model: Annotated[str, typer.Option(help="InstructBLIP: a name on the Hugging Face hub, or a folder.")] = "",
    revision: Annotated[str, typer.Option(help="Commit, tag or branch of the model.")] = "main",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    dtype: Annotated[str, typer.Option(help="Precision: float32, float16, bfloat16.")] = "float32",
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Write captions of a dataset whose prompts they are, with InstructBLIP, from the first frame of every clip.

    They come to captions.csv in the copy, columns file,caption. Interrupted, the same command continues.

    Examples:

      mmbench data caption landscape --root /data/landscape --dtype bfloat16

      mmbench data caption landscape --model Salesforce/instructblip-flan-t5-xl --revision COMMIT
    """
    from mmbench.datasets.copies.captions import INSTRUCTION, MODEL, instructblip, write_captions
    from mmbench.datasets.copies.video_copy import open_copy

    setup(verbose)
    copy, model = open_copy(dataset, root), model or MODEL
    made_by = {"model": model, "revision": revision, "dtype": dtype, "instruction": INSTRUCTION}
    load = partial(instructblip, model, revision, device, dtype)
    count, new = write_captions(copy, load, made_by, quiet=format is not Format.table)
    show_mapping({"captions": count, "new": new, "file": str(copy.root / "captions.csv")}, format)


def _show(copy: VideoCopy, entries: Sequence[Entry], format: Format) -> None:
    bad = [{"file": e.file, "status": e.status, "reason": e.reason} for e in entries if e.reason]
    missing = [{"file": name, "status": "missing", "reason": "not in the copy"} for name in copy.missing]
    counts = Counter(e.status for e in entries)
    kinds = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()) if status != "ok")
    notes = [f"{counts['ok']} of {len(entries)} videos can be used{f'; {kinds}' if kinds else ''}."]
    if missing:
        notes.append(
            f"{len(missing)} of {len(copy.videos) + len(missing)} videos are missing; --format json names them."
        )
    rows = bad if format is Format.table else bad + missing
    show_rows(rows, ["file", "status", "reason"], format, f"Videos in {copy.root} that cannot be used", notes)
