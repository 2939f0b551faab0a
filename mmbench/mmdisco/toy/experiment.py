"""The 1-D experiment of MMDisCo (arXiv 2405.17842, 4.1, A.3, A.5; Table 1): does guidance reach the joint target?

A diffusion model of five Gaussians on each axis, one for both where they are of one kind; a discriminator trained on
500 points of a joint target and 500 pairs of the models' own guides them there. The paper's models predict noise; here
they may also predict v or a flow's velocity. All seeds train side by side, each on its own draws.
Where the paper is silent (training steps, learning-rate decay, sampler variance, pairing of fakes) the choices are
those of `ToyConfig`; results/toy/README.md records which of them matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmbench.mmdisco.losses import Discriminator
from mmbench.mmdisco.toy.bases import Base, BaseKind, Bases, Pairing, Predictor, exact_prediction, order_levels
from mmbench.mmdisco.toy.config import DEFAULT, ToyConfig, generators
from mmbench.mmdisco.toy.data import SCHEDULE, TARGETS, describe, optimal_logit, target
from mmbench.mmdisco.toy.figures import save_figure
from mmbench.mmdisco.toy.models import TabulatedBase
from mmbench.mmdisco.toy.sampling import Sampler, sample
from mmbench.mmdisco.toy.training import LOSSES, train_base, train_discriminator


@contextmanager
def one_thread() -> Iterator[None]:
    """These networks are too small to share among threads; run settings in processes instead."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def make_bases(
    kinds: tuple[BaseKind, BaseKind], models: Mapping[BaseKind, Predictor], pairing: Pairing = "index"
) -> Bases:
    """The base models of x and y, whose levels are paired by "index" or by equal "log_snr"."""
    x, y = (Base(kind, models[kind], order) for kind, order in zip(kinds, order_levels(kinds, pairing), strict=True))
    return x, y


def sample_methods(
    kinds: tuple[BaseKind, BaseKind],
    models: Mapping[BaseKind, Predictor],
    setting: str,
    losses: Sequence[str],
    sigma: float,
    seeds: Sequence[int],
    config: ToyConfig,
    samplers: Sequence[Sampler],
    pairing: tuple[Pairing, Pairing],
) -> Iterator[tuple[str, Sampler, Tensor]]:
    """(method, sampler, points (members, n, 2)) of one pair of trained `models`; each loss trains its discriminator."""
    in_training, in_sampling = (make_bases(kinds, models, paired) for paired in pairing)
    exact = make_bases(kinds, {kind: exact_prediction(kind, sigma) for kind in kinds}, pairing[1])
    for method in ("exact", "no_joint", "optimal", *losses):
        guide: Discriminator | None = None
        if method in LOSSES:
            guide = train_discriminator(in_training, setting, method, sigma, seeds, config)
        elif method != "no_joint":
            guide = optimal_logit(setting, sigma, (exact[0].alphas_cumprod, exact[1].alphas_cumprod))
        for sampler in samplers:
            pair = exact if method == "exact" else in_sampling
            yield method, sampler, torch.stack(sample(pair, guide, config.num_samples, seeds, config, sampler), -1)


def run_toy(
    sigma: float = 0.25,
    settings: Sequence[str] = tuple(TARGETS),
    losses: Sequence[str] = tuple(LOSSES),
    seeds: Sequence[int] = range(5),
    config: ToyConfig = DEFAULT,
    on_record: Callable[[dict[str, Any], Tensor], None] = lambda record, points: None,
    figures: Path | None = None,
    bases: Sequence[tuple[BaseKind, BaseKind]] = (("eps", "eps"),),
    samplers: Sequence[Sampler] = ("ancestral",),
    pairing: tuple[Pairing, Pairing] = ("index", "index"),
) -> list[dict[str, Any]]:
    """Train, sample and score everything.

    Args:
        sigma: Standard deviation of every Gaussian; 0.25 gives the printed ground truth, 0.1 is what the text states.
        settings: Of "ind", "ood".
        losses: Of "disc", "denoise", "all".
        seeds: Each with its own data, weights and noise.
        config: Sizes and schedules.
        on_record: Called with each record and its (n, 2) points as soon as they exist.
        figures: Folder for the scatter plots of the first seed; None draws none.
        bases: What the base models of x and y predict, for each pair of them.
        samplers: Of "ancestral", "ode"; a discriminator is trained once for all of them.
        pairing: Of the levels of x and y, in training and in sampling.

    Returns:
        One record per setting, pair of bases, method, sampler and seed. Methods besides the losses: "gt" (points of
        the target itself), "real" (the training pairs, whose own excess no training can see), "exact" (exact scores
        throughout: what the sampler alone costs), "no_joint" (the base models alone), "optimal" (they, guided by the
        exact logit). The first two have neither bases nor sampler: None.
    """
    records: list[dict[str, Any]] = []

    def keep(setting: str, method: str, points: Tensor, source: Mapping[str, str | None]) -> None:
        mixture = target(setting, sigma)
        for seed, member, g in zip(seeds, points, generators(seeds, setting, "truth"), strict=True):
            head = {"setting": setting, "sigma": sigma, "method": method, "seed": seed, **source}
            scores = describe(member, mixture, mixture.sample(config.num_samples, g))
            records.append({**head, **scores, "config": asdict(config)})
            on_record(records[-1], member)

    with one_thread():
        models: dict[BaseKind, Predictor] = {
            kind: TabulatedBase(train_base(sigma, seeds, config, kind), SCHEDULE.num_train_timesteps)
            for kind in dict.fromkeys(kind for kinds in bases for kind in kinds)
        }
        for setting in settings:
            mixture, sizes = target(setting, sigma), {"gt": config.num_samples, "real": config.num_points}
            given = {
                method: torch.stack([mixture.sample(n, g) for g in generators(seeds, setting, method)])
                for method, n in sizes.items()
            }
            for method, points in given.items():
                keep(setting, method, points, {"bases": None, "sampler": None, "pairing": None})
            for kinds in bases:
                names = {"bases": "/".join(kinds), "pairing": "/".join(dict.fromkeys(pairing))}
                panels = {sampler: {"gt": given["gt"][0]} for sampler in samplers}
                runs = sample_methods(kinds, models, setting, losses, sigma, seeds, config, samplers, pairing)
                for method, sampler, points in runs:
                    keep(setting, method, points, {**names, "sampler": sampler})
                    panels[sampler][method] = points[0]
                if figures is not None:
                    for sampler in samplers:
                        save_figure(panels[sampler], setting, sigma, figures, {**names, "sampler": sampler})
    return records
