"""`mmbench toy` and `mmbench train`: the method itself."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmbench.console import Format, progress, setup, show_rows

Form = Annotated[Format, typer.Option("--format", "-f", help="How results are printed.")]


class Setting(StrEnum):
    """Whether the joint target has the base model's marginals."""

    ind = "ind"
    ood = "ood"
    both = "both"


class Loss(StrEnum):
    """What a discriminator is trained with."""

    disc = "disc"
    denoise = "denoise"
    all = "all"


def toy(
    sigma: Annotated[list[float] | None, typer.Option(help="Of the Gaussians; repeat. Default 0.25.")] = None,
    setting: Annotated[Setting, typer.Option(help="In-domain, out-of-domain, or both.")] = Setting.both,
    loss: Annotated[list[Loss] | None, typer.Option(help="Loss; repeat. Default: all three.")] = None,
    seeds: Annotated[int, typer.Option(help="Seeds, each with its own data, weights and noise.")] = 5,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for records and figures.")] = Path("runs/toy"),
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of everything: does it run?")] = False,
    figures: Annotated[bool, typer.Option(help="Draw Figures 2 and 4 (needs matplotlib).")] = True,
    format: Form = Format.table,
) -> None:
    """Reproduce Table 1 of the paper: a 1-D pair guided by discriminators of each loss.

    Excess is the NLL above that of the target itself; stray the share of points far from every mode; least mode the
    share of the rarest of the five (0.2 is fair). "exact" samples with exact scores, "optimal" guides the trained base
    with the exact discriminator: what is left is the sampler's and the base's own error.

    Examples:

      mmbench toy --seeds 1

      mmbench toy --sigma 0.25 --sigma 0.1 --seeds 5 --out results/toy
    """
    from mmbench.toy import COLUMNS, METHODS_WITHOUT_TRAINING, run

    setup()
    settings = [s.value for s in Setting if s is not Setting.both] if setting is Setting.both else [setting.value]
    losses = [x.value for x in loss or list(Loss)]
    sigmas = sigma or [0.25]
    total = len(sigmas) * len(settings) * (len(losses) + METHODS_WITHOUT_TRAINING) * seeds
    with progress("toy", total, quiet=format is not Format.table) as bar:
        command = ("mmbench", *sys.argv[1:])
        options = {"quick": quick, "figures": figures, "command": command, "progress": bar}
        rows = run(sigmas, settings, losses, seeds, out, **options)  # type: ignore[arg-type]
    show_rows(rows, COLUMNS, format, f"Table 1; records in {out}")
