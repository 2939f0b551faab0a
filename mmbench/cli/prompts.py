"""`mmbench prompts`: what to generate, for models that run elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import Format, setup, show_mapping


def prompts(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, .jsonl or .csv; another one there stays.")],
    dataset: opt.Dataset = "bounce",
    num_samples: Annotated[int, typer.Option("--num-samples", "-n", min=1, help="How many clips are requested.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the run.")] = 0,
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
    verbose: opt.Verbose = 0,
) -> None:
    """Write what to generate, a line for each clip: prompt, seed, length and rates, and the name of its file.

    Clips of these names are checked against the list by `mmbench evaluate FOLDER`, if it lies in the folder or is given
    as --requests. They pair with runs of mmbench on the same dataset and seed.

    Examples:

      mmbench prompts --dataset bounce -n 64 --out requests.jsonl

      mmbench prompts --dataset vggsound -n 2048 --seed 1 --out requests.csv
    """
    from mmbench.jobs.requests import export_requests

    setup(verbose)
    show_mapping(export_requests(dataset, num_samples, seed, out), format)
