"""Which settings of the 1-D experiment matter: `python results/toy/sweep.py sweep.jsonl` appends one record per run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace

import torch
from torch import Tensor

from mmbench.mmdisco.dpm_solver import DPMSolver
from mmbench.mmdisco.guidance import Guidance, JointPredictor
from mmbench.mmdisco.losses import Discriminator, independent
from mmbench.mmdisco.samplers import sample_pair
from mmbench.mmdisco.toy.bases import Bases
from mmbench.mmdisco.toy.config import ToyConfig, generators
from mmbench.mmdisco.toy.data import SCHEDULE, TARGETS, describe, exact_epsilon, optimal_logit, target
from mmbench.mmdisco.toy.experiment import make_bases
from mmbench.mmdisco.toy.models import TabulatedBase
from mmbench.mmdisco.toy.sampling import sample
from mmbench.mmdisco.toy.training import train_base, train_discriminator

SIGMA, SEEDS, DEFAULT = 0.25, range(2), ToyConfig(steps=3000)
VARIANTS = {"steps 3000": DEFAULT, "steps 1000": replace(DEFAULT, steps=1000)}


def solve(bases: Bases, discriminator: Discriminator) -> tuple[Tensor, ...]:
    """DPM-Solver++ of order 3 in 60 evaluations instead of ancestral sampling."""
    abar, n = SCHEDULE.alphas_cumprod, DEFAULT.num_samples
    predict = JointPredictor(
        independent(bases[0].epsilon, bases[1].epsilon), (abar, abar), guidance=Guidance(discriminator)
    )
    noise = generators(SEEDS, "sampling", "x"), generators(SEEDS, "sampling", "y")
    return sample_pair(predict, [(n,), (n,)], noise, DPMSolver((abar, abar), 60))


def runs() -> Iterator[tuple[str, str, str, tuple[Tensor, ...], ToyConfig]]:
    """(variant, setting, method, samples, config) of every run."""
    small = replace(DEFAULT, variance="fixed_small")
    for name, config in VARIANTS.items():
        base = TabulatedBase(train_base(SIGMA, SEEDS, config), SCHEDULE.num_train_timesteps)
        bases, exact = (make_bases(("eps", "eps"), {"eps": model}) for model in (base, exact_epsilon(SIGMA)))
        for setting in TARGETS:
            trained = train_discriminator(bases, setting, "all", SIGMA, SEEDS, config)
            yield name, setting, "all", sample(bases, trained, config.num_samples, SEEDS, config), config
            if config is not DEFAULT:
                continue
            optimal = optimal_logit(setting, SIGMA)
            for method, pair, guide in (("all", bases, trained), ("exact", exact, optimal)):
                samples = sample(pair, guide, DEFAULT.num_samples, SEEDS, small)
                yield "sampler fixed_small", setting, method, samples, small
                yield "sampler dpm-solver++ 3S, 60 evaluations", setting, method, solve(pair, guide), DEFAULT


def main(path: str) -> None:
    """Append to `path`."""
    torch.set_num_threads(1)
    with open(path, "a", encoding="utf-8") as file:
        for name, setting, method, samples, config in runs():
            for seed, points in zip(SEEDS, torch.stack(samples, -1), strict=True):
                head = {"sweep": name, "setting": setting, "sigma": SIGMA, "method": method, "seed": seed}
                record = {**head, **describe(points, target(setting, SIGMA)), "config": asdict(config)}
                print(json.dumps(record), file=file, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
