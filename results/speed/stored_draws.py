"""Seconds of a training step on stored predictions, against one that asks the base models.

    OMP_NUM_THREADS=1 python results/speed/stored_draws.py [DESIGN ...]

`tiny` on `bounce`, 16 pairs, both losses. Steps of either kind take turns in one process, reading of pairs included;
processor seconds, median of `ROUNDS` rounds after one that does not count.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator

from mmbench.experiments.training.bases import describe
from mmbench.experiments.training.filling import fill_pools
from mmbench.experiments.training.settings import TrainSettings
from mmbench.experiments.training.stored import fill_stored_draws
from mmbench.experiments.training.train import load_guidable
from mmbench.mmdisco.batches import Batches
from mmbench.mmdisco.stored import StoredDraws
from mmbench.mmdisco.trainer import Trainer
from mmbench.mmdisco.training_config import TrainConfig
from mmbench.registry import make_dataset

ROUNDS, DRAWS, BATCH = 12, 2, 16


def measure(design: str, out: Path) -> dict[str, float]:
    """Median processor seconds of a step by kind."""
    settings = TrainSettings(
        system="tiny",
        dataset="bounce",
        discriminator=design,
        num_real=32,
        num_fake=32,
        stored_draws=DRAWS,
        device="cpu",
        system_options=["num_inference_steps=2"],
        out=out,
    )
    dataset = make_dataset(settings.dataset)
    bases = load_guidable(settings, dataset)
    description = describe(bases, dataset, settings)
    config = TrainConfig(description.discriminator(design), batch_size=BATCH)
    real, fake = fill_pools(settings, dataset, bases, description.encodes, 0)
    stored = fill_stored_draws(settings, config, dataset, bases, description, real, 0)
    trainer = Trainer(config, Accelerator(cpu=True), bases.pair.epsilon, description.schedules)

    def step_of(draws: StoredDraws | None) -> Callable[[int], object]:
        batches = Batches(real, fake, config.seed, BATCH, stored.noising, stored=draws)
        return lambda k: trainer.update(*(batch.on(trainer.device) for batch in batches[k]), out)

    seconds: dict[str, list[float]] = {"asked": [], "stored": []}
    steps = {"asked": step_of(None), "stored": step_of(stored)}
    for k in range(ROUNDS + 1):
        for kind, step in steps.items():
            before = time.process_time()
            step(k)
            seconds[kind].append(time.process_time() - before)
    return {kind: statistics.median(values[1:]) for kind, values in seconds.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for design in sys.argv[1:] or ["res_mlp", "res_frieren", "vit_mlp"]:
            took = measure(design, Path(folder))
            words = ", ".join(f"{kind} {1 / value:.3g} steps/s" for kind, value in took.items())
            print(f"{design}: {words}, ratio {took['asked'] / took['stored']:.2f}")
