"""`mmbench toy` and `mmbench train`: the method itself."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.cli.options import Loss
from mmbench.console import Format, setup, show_rows
from mmbench.progress import progress


class Setting(StrEnum):
    """The joint target of the toy: with the base model's marginals ("ind"), with others ("ood"), or both."""

    ind = "ind"
    ood = "ood"
    both = "both"


class ToySampler(StrEnum):
    """Sampler of the toy: ancestral (DDPM), or the deterministic DDIM, which on a flow is Euler's."""

    ancestral = "ancestral"
    ode = "ode"


def toy(
    sigma: Annotated[list[float] | None, typer.Option(help="Of the Gaussians; repeat. Default 0.25.")] = None,
    setting: Annotated[Setting, typer.Option(help="In-domain, out-of-domain, or both.")] = Setting.both,
    loss: Annotated[list[Loss] | None, typer.Option(help="Loss; repeat. Default: all three.")] = None,
    bases: Annotated[
        list[str] | None,
        typer.Option(help="What the base models of x / y predict, of eps, v, flow; commas or repeat. Default eps/eps."),
    ] = None,
    sampler: Annotated[list[ToySampler] | None, typer.Option(help="Sampler; repeat. Default ancestral.")] = None,
    pairing: Annotated[
        str, typer.Option(help="Noise levels of x with those of y: index, log_snr, or TRAINED/SAMPLED of them.")
    ] = "index",
    steps: Annotated[int | None, typer.Option(help="Training steps of a discriminator; 6000.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, each with its own data, weights and noise.")] = 5,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for records and figures.")] = Path("runs/toy"),
    quick: Annotated[bool, typer.Option("--quick", help="Few steps and samples: does it run?")] = False,
    figures: Annotated[bool, typer.Option(help="Draw Figures 2 and 4 (needs matplotlib).")] = True,
    format: opt.Form = Format.table,
) -> None:
    """Reproduce Table 1 of the paper: a 1-D pair guided by discriminators of each loss.

    Excess is the NLL above that of the target itself, which narrow samples flatter; energy the distance to fresh points
    of the target, in sigma, which they do not (row gt: chance); spread is 1 and mode error 0 for exact points; stray is
    the share of points far from every mode. "exact" samples with exact scores, "optimal" guides the trained base
    with the exact discriminator: what is left is the sampler's and the base's own error. Base models of another kind
    than the paper's are trained and stepped as that kind is; the losses stay those of noise.

    Examples:

      mmbench toy --seeds 1

      mmbench toy --sigma 0.25 --sigma 0.1 --seeds 5 --out results/toy

      mmbench toy --bases v/v,flow/flow,eps/flow --loss all --sampler ancestral --sampler ode
    """
    from mmbench.experiments.training import toy as experiment

    setup()
    settings = [s.value for s in Setting if s is not Setting.both] if setting is Setting.both else [setting.value]
    losses = [x.value for x in loss or list(Loss)]
    sigmas = sigma or [0.25]
    samplers = [x.value for x in dict.fromkeys(sampler or [ToySampler.ancestral])]
    pairs, paired = experiment.parse_bases(bases or ["eps/eps"]), experiment.parse_pairing(pairing)
    sizes = (len(x) for x in (sigmas, settings, losses, range(seeds), pairs, samplers))
    with progress("toy", experiment.count_records(*sizes), quiet=format is not Format.table) as bar:
        options = {"quick": quick, "figures": figures, "command": ("mmbench", *sys.argv[1:]), "progress": bar}
        options |= {"bases": pairs, "samplers": samplers, "pairing": paired, "steps": steps}
        rows, winners = experiment.run_toy_experiment(sigmas, settings, losses, seeds, out, **options)  # type: ignore[arg-type]
    show_rows(rows, experiment.name_columns(rows), format, f"Table 1; records in {out}", winners)


def train(
    system: Annotated[str, typer.Option("--system", "-s", help="A pair of diffusion models, without +mmdisco.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Real pairs; folder:PATH for your own.")],
    discriminator: Annotated[
        str, typer.Option(help="res or vit, with mlp, naive or frieren: res_frieren.")
    ] = "res_mlp",
    loss: Annotated[Loss, typer.Option(help="Both terms, or one alone.")] = Loss.all,
    channels: Annotated[int | None, typer.Option(help="C, width of the first level.")] = None,
    blocks: Annotated[int | None, typer.Option(help="L, residual blocks per level.")] = None,
    num_real: Annotated[int | None, typer.Option(help="Real pairs; all by default.")] = None,
    num_fake: Annotated[int, typer.Option(help="Pairs the base models make beforehand.")] = 1000,
    pairing: Annotated[
        str, typer.Option(help="Noise levels of the halves: index (equal), band (within 20 % of T) or independent.")
    ] = "index",
    stored_draws: Annotated[
        int,
        typer.Option(
            help="Noise each real pair so often beforehand and store what the base models predict, 4 bytes for each "
            "element of its latents; then they are not in memory in training. 0: in every step anew."
        ),
    ] = 0,
    re_pair: Annotated[
        bool, typer.Option("--re-pair", help="Pair generated videos and audios of equal texts anew throughout.")
    ] = False,
    epochs: Annotated[float | None, typer.Option(help="Passes over the real pairs; 100 by default.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps instead of epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Real pairs per step and process.")] = None,
    micro_batch: Annotated[
        int | None, typer.Option(help="Pairs in memory at once; gradients add up to those of the batch.")
    ] = None,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Compute activations again instead of keeping them.")
    ] = False,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's.")] = None,
    weight_denoising: Annotated[float | None, typer.Option(help="Lambda of the denoising loss; 1.")] = None,
    denoising_reduction: Annotated[
        str | None, typer.Option(help="Of that loss over elements: mean, or sum as printed in the paper.")
    ] = None,
    text_drop: Annotated[float | None, typer.Option(help="Share of pairs without their texts; 0.1.")] = None,
    max_gradient_norm: Annotated[float | None, typer.Option(help="Longer gradients are clipped to it; 1.")] = None,
    ema_decay: Annotated[float | None, typer.Option(help="Of the average of weights; 0.999, 0 for none.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read pairs ahead.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything.")] = None,
    pool_seed: Annotated[
        int | None, typer.Option(min=0, help="Pairs as another seed has them, to train anew on those that are there.")
    ] = None,
    option: opt.Options = None,
    weights: opt.Networks = "real",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write event files.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    dtype: opt.Dtype = "float32",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for weights and pools.")] = Path(
        "runs/discriminators"
    ),
    limit: opt.Limit = None,
    format: opt.Form = Format.table,
) -> None:
    """Train a discriminator that joins a pair of diffusion models.

    Any system that `mmbench list systems` marks +mmdisco can be joined. Stopped at any moment, the same command
    continues, bit for bit.

    Examples:

      mmbench train --system tiny --dataset bounce --discriminator res_frieren --loss all

      mmbench train --system tiny --dataset folder:my_clips --num-fake 10000 --epochs 10 --precision bfloat16

      torchrun --nproc-per-node 8 -m mmbench train --system tiny --dataset bounce
    """
    from mmbench.console import name_follower, show_mapping
    from mmbench.experiments.training.settings import TrainSettings
    from mmbench.experiments.training.train import train_discriminator

    setup()
    given: dict[str, object] = {"epochs": epochs, "steps": steps, "batch_size": batch_size, "precision": precision}
    given |= {"learning_rate": learning_rate, "seed": seed, "tensorboard": tensorboard or None}
    given |= {"micro_batch": micro_batch, "weight_denoising": weight_denoising, "text_drop": text_drop}
    given |= {"denoising_reduction": denoising_reduction, "max_gradient_norm": max_gradient_norm}
    given |= {"ema_decay": ema_decay, "workers": workers, "checkpointing": checkpointing or None}
    sizes = {"channels": channels, "num_blocks": blocks}
    settings = TrainSettings(
        system=system,
        dataset=dataset,
        discriminator=discriminator,
        loss=loss.value,
        num_real=num_real,
        num_fake=num_fake,
        sizes={k: v for k, v in sizes.items() if v is not None},
        options={k: v for k, v in given.items() if v is not None},
        system_options=option or (),
        weights=weights,
        device=device,
        dtype=dtype,
        out=out,
        quiet=format is not Format.table or bool(name_follower()),
        command=("mmbench", *sys.argv[1:]),
        pairing=pairing,
        stored_draws=stored_draws,
        re_pair=re_pair,
        pool_seed=pool_seed,
    )
    trained = train_discriminator(settings)
    if not name_follower():  # the first process of the launcher prints
        show_mapping(trained, format)
