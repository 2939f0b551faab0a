"""What CLAP and Audiobox cost at their published sizes, with random weights: seconds of one core, and peak memory.

Run as `OMP_NUM_THREADS=1 python results/speed/clap_audiobox.py CASE`, each case in a process of its own, so that its
peak is its own: audiobox, avbench_8s, javisbench (sound), prompt.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import numpy as np
import torch

from mmbench.metrics.clap import PRESETS
from mmbench.metrics.extractors.audiobox import AudioboxExtractor
from mmbench.metrics.extractors.clap import ClapAudio, ClapText
from mmbench.metrics.networks import audiobox, clap
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip

CLIPS, ROUNDS = 4, 3
PROMPT = "a dog barks while rain falls on a tin roof and a car passes slowly by " * 2


def build(case: str) -> tuple[Any, torch.nn.Module]:
    """An extractor, and its network at full size."""
    if case == "audiobox":
        return AudioboxExtractor("random"), audiobox.Audiobox(audiobox.FULL)
    if case == "prompt":
        return ClapText(PRESETS["avbench_8s"], "random"), clap.ClapText(clap.HTSAT_BASE)
    size = {"avbench_8s": clap.HTSAT_BASE, "javisbench": clap.HTSAT_TINY}[case]
    return ClapAudio(PRESETS[case], "random"), clap.ClapAudio(size)


def main(case: str) -> None:
    """Measure clips of 8 s with sound at 44.1 kHz, or prompts of 140 characters, in batches of four."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    sounds = (0.1 * rng.standard_normal((CLIPS, 8 * 44100))).astype(np.float32)
    clips = [Clip(np.zeros((2, 8, 8, 3), np.uint8), 0.25, sound, 44100) for sound in sounds]
    inputs = [PROMPT] * CLIPS if case == "prompt" else clips
    extractor, network = build(case)
    fill_randomly(network, "")
    extractor.__dict__["network"] = network  # in place of the small one
    extractor.extract(inputs[:1])
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        extractor.extract(inputs)
        seconds.append((time.process_time() - started) / CLIPS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = sum(p.numel() for p in network.parameters()) * 4 / 2**30
    print(f"{case:12} {np.median(seconds):5.2f} s each, peak {peak:.2f} GiB, of which the network {size:.2f} GiB")


if __name__ == "__main__":
    main(sys.argv[1])
