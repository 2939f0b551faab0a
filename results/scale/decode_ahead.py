"""The share of its time in which a network waits for clips, by what it takes per clip and who decodes.

Run as `OMP_NUM_THREADS=1 python results/scale/decode_ahead.py`. A stand-in for a network on a GPU sleeps for as long as
it is told, and so do sources in place of decoding, for as long as decoding such a clip takes here; so more workers than
there are cores can be looked at. All else is as in every evaluation: two threads beside the network, or, where that
pays, worker processes, whose clips of 16 frames of 256x256 with 2 s of sound come back through pipes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmbench.features.cache import FeatureCache
from mmbench.features.content import Content
from mmbench.features.decoding import THREADS
from mmbench.features.extract import Sample, extract
from mmbench.media.clip_files import write_lossless
from mmbench.runs.store import StoredSource
from mmbench.types import Clip, Features, Modality, Spec, Weights

BATCH, FILES = 8, 16
SECONDS = 24.0  # of a run, of which the last third is looked at: by then all workers have started
MILLISECONDS = (2, 11, 33)  # per clip: about I3D's, ImageBind's of one view and of three, at 30 TFLOP/s
WORKERS = (1, 4, 8)  # 1 has no pool


@dataclass(frozen=True)
class SleepingSource:
    """A source that sleeps for `seconds` in place of decoding."""

    id: str
    seconds: float
    digest: str = ""

    def load(self) -> Clip:
        """A black clip."""
        time.sleep(self.seconds)
        return Clip(np.zeros((16, 256, 256, 3), np.uint8), 8.0, np.zeros(32000, np.float32), 16000)


class Asleep:
    """A network that takes its time; notes when each of its batches began and ended."""

    name = "asleep"
    modality: Modality = "video"
    weights: Weights = "random"
    batch_size = BATCH

    def __init__(self, seconds: float) -> None:
        self.seconds, self.times = seconds, list[tuple[float, float]]()

    def spec(self) -> Spec:
        """Nothing is kept."""
        return {}

    def extract(self, batch: Sequence[Clip]) -> list[Features]:
        """One number per clip."""
        began = time.perf_counter()
        time.sleep(self.seconds * len(batch))
        self.times.append((began, time.perf_counter()))
        return [{"mean": np.zeros(1)} for _ in batch]

    def waited(self, clips: int) -> float:
        """The share of the time of the last `clips` clips that no batch was computed in."""
        times = self.times[-(clips // BATCH) - 1 :]
        busy = sum(end - began for began, end in times[1:])
        return 1 - busy / (times[-1][1] - times[0][1])


def decoding_seconds() -> float:
    """Processor seconds in which a lossless file of smooth drifting noise is decoded and its content found."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        sources = [StoredSource("", Path(folder) / f"{i}.mkv") for i in range(FILES)]
        for source in sources:
            noise = gaussian_filter(rng.standard_normal((256, 256, 3)), (3, 3, 0), mode="wrap")
            pattern = np.clip(127 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
            video = np.stack([np.roll(pattern, 3 * t, axis=(0, 1)) for t in range(16)])
            sound = (0.1 * rng.standard_normal(32000)).astype(np.float32)
            write_lossless(Clip(video, 8.0, sound, 16000), source.path)
        sources[0].load()
        started = time.process_time()
        for source in sources:
            source.load().digest()
        return (time.process_time() - started) / FILES


def main() -> None:
    """Print one line per time of the network and number of workers."""
    cost = decoding_seconds()
    print(f"decoding takes {1e3 * cost:.0f} ms; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    content = Content.of(SleepingSource("", 0.0).load())
    for milliseconds in MILLISECONDS:
        for workers in WORKERS:
            decoders = THREADS if workers == 1 else workers
            clips = int(SECONDS / max(milliseconds / 1e3, cost / decoders)) // BATCH * BATCH
            samples: list[Sample | None] = [Sample(SleepingSource(str(i), cost), "", content) for i in range(clips)]
            network = Asleep(milliseconds / 1e3)
            extract(samples, [network], FeatureCache(None), workers=workers)
            least = max(0.0, 1 - decoders * milliseconds / 1e3 / cost)
            who = f"{decoders} {'threads' if workers == 1 else 'workers'}"
            print(f"{milliseconds} ms, {who}: waits {network.waited(clips // 3):.0%}, at least {least:.0%}", flush=True)


if __name__ == "__main__":
    main()
