"""What DeSync costs at its published size, with random weights: seconds of one core, and peak memory.

Run as `OMP_NUM_THREADS=1 python results/speed/desync.py`; two minutes.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mmbench.metrics.desync import DeSync
from mmbench.metrics.networks.synchformer import FULL, Synchformer
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip


def measured(what: str, work: Callable[[], Any]) -> Any:
    """Do the work and print its processor time [s] and the peak of memory so far [GiB]."""
    started = time.process_time()
    found = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:40} {time.process_time() - started:6.1f} s {peak:5.2f} GiB", flush=True)
    return found


def main() -> None:
    """Measure one clip of 8 s, 832x480 at 24 frames per second with sound at 44.1 kHz."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (192, 480, 832, 3), dtype=np.uint8)
    clip = Clip(video, 24.0, (0.1 * rng.standard_normal(8 * 44100)).astype(np.float32), 44100)
    whole = Synchformer(FULL)
    measured("random weights", lambda: fill_randomly(whole, ""))
    metric = DeSync(weights="random")
    for part, network in ((metric.video, whole.vfeat_extractor), (metric.audio, whole.afeat_extractor)):
        part.__dict__["network"] = network  # in place of the small one
    metric.head.__dict__["network"] = whole
    sound = measured("sound, 24 segments", lambda: metric.audio.extract([clip]))[0]["segments"]
    picture = measured("picture, 24 segments", lambda: metric.video.extract([clip]))[0]["segments"]
    measured("head, 16 windows", lambda: metric.head.logits([(picture[:14], sound[:14])] * 16))


if __name__ == "__main__":
    main()
