"""Is the prompt's material seen and heard? Nearest class mean of 600 real clips, in features of the bounce networks.

python results/tiny/materials.py RUN ...
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.metrics.extractors.bounce import BounceAudio, BounceVideo
from mmbench.registry import make_dataset
from mmbench.runs.store import SampleStore

NUM_REAL, SEED, NUM = 600, 77, 256


def vectors(extractor: Any, clips: list[Any]) -> np.ndarray:
    """(n, d) features of clips."""
    rows = extractor.extract(clips)
    return np.stack([np.asarray(next(iter(row.values())), dtype=np.float64).ravel() for row in rows])


def main(folders: list[str]) -> None:
    dataset = make_dataset("bounce")
    items = dataset.reference(NUM_REAL, SEED)[:]
    labels = np.array([item.prompt.data["material"] for item in items])
    prompts: dict[str, list[Any]] = {}
    for extractor in (BounceVideo(device="cpu"), BounceAudio(device="cpu")):
        real = vectors(extractor, [item.clip for item in items])
        spread = real.std(0) + 1e-9
        names = sorted(set(labels))
        means = np.stack([real[labels == name].mean(0) for name in names]) / spread
        for folder in folders:
            store = SampleStore.open(Path(folder))
            if folder not in prompts:
                prompts[folder] = dataset.prompts(NUM, store.run.seed)
            found = vectors(extractor, [store.source(i).load() for i in range(NUM)]) / spread
            guess = np.array(names)[((found[:, None] - means) ** 2).sum(2).argmin(1)]
            right = float(np.mean(guess == np.array([p.data["material"] for p in prompts[folder]])))
            print(f"{Path(folder).name}: {extractor.name} {right:.3f} of {NUM}")


if __name__ == "__main__":
    main(sys.argv[1:])
