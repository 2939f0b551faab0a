"""Where trained discriminators lie: those a user trained, and those that ship with the package."""

from __future__ import annotations

import os
from pathlib import Path

from mmbench.errors import MMBenchError
from mmbench.system_names import SystemName
from mmbench.types import Dataset, HasLabel, Weights

SHIPPED = Path(__file__).parents[1] / "data"


FOLDER_VARIABLE, DEFAULT_FOLDER = "MMBENCH_DISCRIMINATORS", "runs/discriminators"


def discriminator_stem(name: SystemName, dataset: Dataset, weights: Weights) -> str:
    """What a discriminator's folder is called, up to its sizes and seed.

    Those of untrained models are called so, and those of a folder of clips after its content: none guides what it was
    not trained for.
    """
    untrained = f"-{weights}" if weights in ("random", "tiny") else ""
    return f"{name}-{dataset.label if isinstance(dataset, HasLabel) else dataset.name}{untrained}"


def find_discriminator(name: SystemName, dataset: Dataset, weights: Weights) -> Path:
    """The weights of a guided system's discriminator: what `mmbench train` left, of the lowest seed, else shipped ones.

    Args:
        name: The system.
        dataset: What it was trained on.
        weights: How far those of the base models are real.

    Raises:
        MMBenchError: There are none; says how to train them.
    """
    stem = discriminator_stem(name, dataset, weights)
    folder = Path(os.environ.get(FOLDER_VARIABLE, DEFAULT_FOLDER))
    trained = [p for p in folder.glob(f"{stem}-s*/discriminator.safetensors") if seed_of(p).isdecimal()]
    for path in (*sorted(trained, key=lambda p: int(seed_of(p))), SHIPPED / f"{stem}.safetensors"):
        if path.is_file():
            return path
    loss = f" --loss {name.option}" if name.option in ("all", "disc", "denoise") else ""
    remedy = f"mmbench train --system {name.base} --dataset {dataset.name} --discriminator {name.design}{loss}"
    raise MMBenchError(
        f"{name} needs a discriminator trained on {dataset.name}, and there is none.",
        f"{folder / f'{stem}-s0' / 'discriminator.safetensors'}, or another folder in {FOLDER_VARIABLE}",
        f"{remedy} --out {folder}",
    )


def seed_of(weights: Path) -> str:
    """What follows the last "-s" in the name of a discriminator's folder."""
    return weights.parent.name.rpartition("-s")[2]
