"""`mmbench stats`: what metrics need of real clips as one small file, to publish without the clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmbench.cli import options as opt
from mmbench.cli.examples import WithExamples
from mmbench.console import Format, setup, show_mapping

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Reference statistics as one file: export, show.")


@app.command(cls=WithExamples)
def export(
    dataset: opt.Dataset,
    file: Annotated[Path, typer.Option("--out", "-o", help="The file to write, .safetensors.")],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="Metric or metric.variant; repeat. Default: all it can.")
    ] = None,
    num_samples: Annotated[int, typer.Option("--num-samples", "-n", min=1, help="Real clips, at most.")] = 2048,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order of the dataset's clips.")] = 0,
    statistics_only: Annotated[
        bool, typer.Option("--statistics-only", help="Leave features of single clips out: smaller, no KVD and KAD.")
    ] = False,
    cache: Annotated[Path, typer.Option(help="Folder of runs whose feature cache is used.")] = Path("runs"),
    device: opt.Device = "auto",
    weights: Annotated[str, typer.Option("--weights", help="Of the networks: real, or random for plumbing.")] = "real",
    workers: opt.Workers = None,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Write the real clips of a dataset as metrics see them. Others then score without having the clips.

    Examples:

      mmbench stats export --dataset folder:vggsound_test --metric fvd --metric fad --out vggsound.safetensors

      mmbench stats export -d bounce -m fvd_bounce -n 256 -o bounce.safetensors --statistics-only

      mmbench evaluate my_samples --reference vggsound.safetensors
    """
    from mmbench.jobs.evaluate import export_reference
    from mmbench.jobs.generate import shard_from
    from mmbench.jobs.settings import Settings
    from mmbench.processes import count_beside

    setup(verbose)
    settings = Settings(
        dataset=dataset,
        num_samples=num_samples,
        seed=seed,
        out=cache,
        metrics=tuple(metric or ()),
        device=device,
        weights=weights,
        workers=workers,
        shard=shard_from(None),
        beside=count_beside(),
        quiet=format is not Format.table,
    )
    written = export_reference(settings, file, statistics_only)
    if written is not None:  # the first process of the launcher prints
        _show(written, format)


@app.command(cls=WithExamples)
def show(
    file: Annotated[Path, typer.Argument(help="A file of `mmbench stats export`.")], format: opt.Form = Format.table
) -> None:
    """Show what a reference file was made of, and for which metrics and networks.

    Examples:

      mmbench stats show vggsound.safetensors
    """
    from mmbench.features.reference import read_reference

    _show(read_reference(file), format)


def _show(found: Any, format: Format) -> None:
    size = {"bytes": found.path.stat().st_size, "sha256": found.sha256}
    show_mapping({"file": str(found.path), **size, **found.about}, format)
