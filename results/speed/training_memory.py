"""Memory of trainings: of the published ones as predicted, and of small ones as predicted and measured (Linux only).

python results/speed/training_memory.py published       tables of sweeps, in some minutes
python results/speed/training_memory.py measured        one thread, each case in a process of its own
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.experiments.profiling.flops import weightless
from mmbench.experiments.profiling.profile import make_profiled_system, profiled_dataset
from mmbench.experiments.sweep.grids import GRIDS
from mmbench.experiments.training.memory import predict
from mmbench.mmdisco.design import DiscriminatorConfig, in_domain, out_of_domain
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.losses import Noised, mmdisco_losses
from mmbench.mmdisco.memory import predict_training_memory
from mmbench.mmdisco.recomputation import recompute_blocks
from mmbench.mmdisco.training_config import TrainConfig
from mmbench.networks.random_weights import fill_randomly
from mmbench.runs.usage import Usage

GB = 1e9
WAYS: dict[str, dict[str, Any]] = {
    "as published": {},
    "`--checkpointing`": {"checkpointing": True},
    "`--micro-batch 4`": {"micro_batch": 4},
    "both": {"micro_batch": 4, "checkpointing": True},
}
PIXELS, LATENTS = ((3, 16, 64, 64), (1, 25600)), ((4, 16, 32, 32), (8, 50, 16))
TEXTS = ((768,), (512,))
CASES: dict[str, tuple[DiscriminatorConfig, Any, Any, int]] = {
    "in-domain res_mlp, C = 32": (in_domain(channels=32), PIXELS, (), 6),
    "in-domain res_frieren, C = 32": (in_domain("res_frieren", channels=32), PIXELS, (), 2),
    "out-of-domain res_mlp, C = 64": (out_of_domain(channels=64), LATENTS, TEXTS, 6),
    "out-of-domain vit_frieren": (out_of_domain("vit_frieren"), LATENTS, TEXTS, 8),
}


def published() -> Iterator[tuple[str, DiffusionPair, TrainConfig]]:
    """Every training of the paper once: what it is called, its pair, without weights, and how it is trained."""
    pairs: dict[str, DiffusionPair] = {}
    seen = set[Any]()
    for table, grid in GRIDS.items():
        for row in grid.rows:
            what = (grid.system, row.design, tuple(sorted(row.sizes.items())), row.loss)
            if not row.design or what in seen:
                continue
            seen.add(what)
            with weightless():
                if grid.system not in pairs:
                    common: dict[str, Any] = {"device": "meta", "weights": "random"}
                    dataset = profiled_dataset(grid.system, None)
                    pairs[grid.system] = make_profiled_system(grid.system, row.design, dataset, [], **common).pair()
            pair = pairs[grid.system]
            size = grid.training["batch_size"]
            config = TrainConfig(pair.discriminator(row.design, **row.sizes), loss=row.loss, batch_size=size)
            yield f"{table}: {grid.system}, {row.label}, batch {size}", pair, config


def show_published() -> None:
    """Print predicted peaks as Markdown."""
    print(f"| training | {' | '.join(WAYS)} |\n|---|{'---|' * len(WAYS)}")
    for name, pair, config in published():
        with weightless():  # the empty text's embedding has no numbers either
            peaks = [predict(replace(config, **way), pair).peak / GB for way in WAYS.values()]
        print(f"| {name} | {' | '.join(f'{peak:.1f}' for peak in peaks)} |", flush=True)


def measure(name: str, checkpointing: bool) -> None:
    """Print a line: kept and peak as predicted, growth of the process in one step, seconds of CPU."""
    torch.set_num_threads(1)
    design, shapes, texts, batch = CASES[name]
    predicted = predict_training_memory(
        TrainConfig(design, batch_size=batch, checkpointing=checkpointing), shapes, texts
    )
    model = Discriminator(design)
    fill_randomly(model, "memory")
    if checkpointing:
        recompute_blocks(model)
    alphas = (torch.linspace(0.9, 0.1, 10, dtype=torch.float64),) * 2

    def step(size: int) -> None:
        x, y = (torch.randn(size, *shape) for shape in shapes)
        text = tuple(torch.randn(size, *shape) for shape in texts)
        pairs = Noised((x, y), (x, y), torch.zeros(size, dtype=torch.long), text=text)
        losses = mmdisco_losses(model, lambda x, y, t, condition: (x, y), alphas, pairs, pairs)
        losses.total.backward(inputs=list(model.parameters()))

    step(1)  # loads libraries and makes the gradients
    usage = Usage()
    before, started = usage.report()["peak_memory_bytes"], time.process_time()
    step(batch)
    seconds, grown = time.process_time() - started, usage.report()["peak_memory_bytes"] - before
    numbers = [predicted.kept / GB, predicted.step / GB, grown / GB, grown / predicted.step, seconds]
    label = f"{name}, {batch} pairs{', checkpointing' * checkpointing}"
    print(f"| {label} | {' | '.join(f'{number:.2f}' for number in numbers)} |", flush=True)


def main() -> None:
    """Print one of the two tables."""
    what, *case = sys.argv[1:]
    if what == "published":
        return show_published()
    if case:
        return measure(case[0], case[1] == "1")
    print("| step | kept [GB] | predicted | measured | measured / predicted | CPU [s] |\n|---|---|---|---|---|---|")
    for name in CASES:
        for checkpointing in "01":
            subprocess.run([sys.executable, __file__, "measured", name, checkpointing], check=True)
    return None


if __name__ == "__main__":
    main()
