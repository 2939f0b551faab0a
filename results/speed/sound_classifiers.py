"""Processor seconds per clip and peak memory of PaSST and Cnn14 at their published sizes, random weights, one thread.

The bootstrap of their Fréchet distances, too: what one replicate costs.

python results/speed/sound_classifiers.py                    all cases, two minutes; Linux only
python results/speed/sound_classifiers.py NETWORK SECONDS    one network in this process
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np
import torch

from mmbench.metrics.arithmetic.frechet import Moments, frechet_replicates
from mmbench.metrics.extractors.sound_classifiers import PANNExtractor, PaSSTExtractor
from mmbench.metrics.networks.cnn14 import Cnn14
from mmbench.metrics.networks.passt import FULL, PaSST
from mmbench.networks.random_weights import fill_randomly
from mmbench.statistics.estimates import resample_indices
from mmbench.types import Clip

CASES = (("passt", 2), ("passt", 8), ("pann", 2), ("pann", 8))
REPEATS = 3


def measure(name: str, seconds: int) -> None:
    """Print what a batch costs per clip, after one that loads libraries."""
    torch.set_num_threads(1)
    extractor = PaSSTExtractor(8, "random") if name == "passt" else PANNExtractor(8, "random")
    network: torch.nn.Module = PaSST(FULL) if name == "passt" else Cnn14()
    fill_randomly(network, "")
    extractor.__dict__["network"] = network  # in place of the small one
    rng, still = np.random.default_rng(0), np.zeros((2, 8, 8, 3), np.uint8)
    sounds = [0.1 * rng.standard_normal(16000 * seconds, np.float32) for _ in range(extractor.batch_size)]
    clips = [Clip(still, 8.0, sound, 16000) for sound in sounds]
    extractor.extract(clips)
    costs = []
    for _ in range(REPEATS):
        start = time.process_time()
        extractor.extract(clips)
        costs.append((time.process_time() - start) / len(clips))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    numbers = " ".join(f"{cost:.2f}" for cost in sorted(costs))
    print(f"{name}, clips of {seconds} s in batches of {len(clips)}: {numbers} s of CPU per clip; peak {peak:.0f} MB")


def measure_bootstrap(dimensions: int, clips: int) -> None:
    """Print what a replicate of the distance between two sets of as many clips costs."""
    rng = np.random.default_rng(0)
    ours, real = (rng.standard_normal((clips, dimensions)) for _ in range(2))
    reference, costs = Moments.of(real), []
    for _ in range(REPEATS):
        start = time.process_time()
        frechet_replicates(ours, reference, resample_indices(clips, 4, 0), 1)
        costs.append((time.process_time() - start) / 4)
    numbers = " ".join(f"{cost:.3f}" for cost in sorted(costs))
    print(f"bootstrap of {clips} clips in {dimensions} dimensions: {numbers} s of CPU per replicate")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        for case in CASES:
            subprocess.run([sys.executable, __file__, *map(str, case)], check=True)
        for dimensions, clips in ((768, 64), (768, 2048), (2048, 64), (2048, 2048)):
            measure_bootstrap(dimensions, clips)
