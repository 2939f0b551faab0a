"""Peak memory of an evaluation beyond its networks, at several numbers of clips, each in a process of its own.

python results/speed/memory.py            all cases, some ten minutes; Linux only
python results/speed/memory.py CASE N     one case in this process
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.features.reference import ItemSource
from mmbench.metrics.bounce import FADBounce, FVDBounce, IBBounceAV
from mmbench.metrics.extractors.i3d import I3DExtractor
from mmbench.metrics.extractors.vggish import VGGishExtractor
from mmbench.metrics.fad import FAD
from mmbench.metrics.fvd import FVD
from mmbench.registry import make_dataset
from mmbench.runs.spec import RunSpec
from mmbench.scores.evaluate import Counts, Evaluation
from mmbench.types import Clip

CASES = (
    ("bounce", 128),
    ("bounce", 2048),
    ("networks", 16),
    ("networks", 64),
    ("distances", 128),
    ("distances", 2048),
)


@dataclass(frozen=True)
class Noise:
    """A source of a clip of noise, 16 frames of 256x256 and two seconds of sound."""

    seed: int

    @property
    def id(self) -> str:
        return str(self.seed)

    @property
    def digest(self) -> str:
        return f"noise {self.seed}"

    def load(self) -> Clip:
        rng = np.random.default_rng(self.seed)
        sound = 0.1 * rng.standard_normal(32000, dtype=np.float32)
        return Clip(rng.integers(0, 256, (16, 256, 256, 3), dtype=np.uint8), 8.0, sound, 16000)


Work = Callable[[int, Path], object]


def memory(field: str) -> float:
    """Of this process [MB]: VmRSS, resident now, or VmHWM, the most since it was last reset."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) / 1024


def bounce() -> Work:
    """Features and scores of clips against as many real ones, written as a run's are."""
    dataset: Any = make_dataset("bounce")
    metrics = [FVDBounce(), FADBounce(), IBBounceAV()]
    run = RunSpec("memory", "bounce", 0, "none", {})

    def work(num: int, folder: Path) -> None:
        items = dataset.reference(num, 1)
        samples: list[Sample | None] = [Sample(ItemSource(items, i, "memory"), "") for i in range(num)]
        with FeatureCache(folder / "features") as cache:
            Evaluation(metrics, dataset, cache, workers=1).score(folder, run, samples, Counts(num))

    return work


def networks() -> Work:
    """I3D and VGGish features of clips of the paper's size, in batches of 8 and 16."""
    extractors = [I3DExtractor("random", device="cpu"), VGGishExtractor("random", device="cpu")]

    def work(num: int, folder: Path) -> None:
        samples: list[Sample | None] = [Sample(Noise(i), "") for i in range(num)]
        extract(samples, extractors, FeatureCache(folder / "features"), workers=1)

    return work


def distances() -> Work:
    """FVD of (num, 400) and FAD of (num, 2, 128) features with 1000 replicates, KVD and KAD."""

    def work(num: int, folder: Path) -> None:
        rng = np.random.default_rng(0)
        decay = np.arange(1, 401, dtype=np.float32) ** -0.5
        videos = rng.standard_normal((2, num, 400), dtype=np.float32) * decay
        sounds = rng.standard_normal((2, num, 2, 128), dtype=np.float32)
        for metric, pair in ((FVD(weights="random"), videos), (FAD(weights="random"), sounds)):
            ours, real = ({metric.extractor.name: [{metric.feature: x} for x in side]} for side in pair)
            wall, cpu = time.perf_counter(), time.process_time()
            score = metric.score(ours, real, seed=0)
            took = f"{time.perf_counter() - wall:.1f} s wall, {time.process_time() - cpu:.1f} s of CPU"
            print(
                f"{metric.name} {score.value:.4f} +- {score.stderr:.4f}: {took}; {dict(score.details)}", file=sys.stderr
            )

    return work


def main() -> None:
    """Print the table as Markdown, or one line of it."""
    if len(sys.argv) == 1:
        print(
            "| case | clips | networks and libraries [MB] | beyond [MB] | time [s] |\n|---|---|---|---|---|", flush=True
        )
        for case, num in CASES:
            subprocess.run([sys.executable, __file__, case, str(num)], check=True)
        return
    case, num = sys.argv[1], int(sys.argv[2])
    work = {"bounce": bounce, "networks": networks, "distances": distances}[case]()
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        work(2, Path(first))  # loads networks and libraries
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        before, started = memory("VmRSS"), time.perf_counter()
        work(num, Path(second))
    seconds = time.perf_counter() - started
    print(f"| {case} | {num} | {before:.0f} | {memory('VmHWM') - before:.0f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
