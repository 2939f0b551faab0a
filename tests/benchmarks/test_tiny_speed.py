"""Tables 11 and 12 in miniature: what a training step and guided sampling cost, on the embedded pair.

Ratios of CPU time, medians of interleaved runs in one process: `mmdisco_step` over `baseline_step` (base forward and
backward) as Table 11 composes them, and what guidance adds to a whole pair, decoded, and to its sampling alone, as
Table 12. Run with `--benchmark-enable`; numbers are in `extra_info`.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest
import torch

from mmbench.experiments.profiling.columns import columns_of_rounds
from mmbench.experiments.profiling.profile import make_profiled_system, time_system
from mmbench.experiments.profiling.stopwatch import Stopwatch
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.types import DESIGNS

STEP, BATCH, ROUNDS = 8, 16, 5


def guided(design: str, *options: str) -> Any:
    torch.set_num_threads(1)
    return make_profiled_system("tiny", design, make_dataset("bounce"), options, device="cpu", weights="real")


def figures(what: str, system: Any, batch: int, rounds: int, loss: str = "all") -> dict[str, list[float]]:
    requests = make_requests(make_dataset("bounce"), batch, 0)
    return columns_of_rounds(time_system(what, system, requests, rounds, Stopwatch(time.process_time), loss))


@pytest.mark.parametrize("design", DESIGNS)
def test_training_step(design: str, benchmark: Any) -> None:
    torch.manual_seed(0)
    ratios, system = {}, guided(design)
    for loss in ("disc", "denoise", "all"):
        found = figures("training", system, STEP, ROUNDS if benchmark.enabled else 1, loss)
        each = zip(found["mmdisco_step"], found["baseline_step"], strict=True)
        ratios[loss] = round(statistics.median(step / baseline for step, baseline in each), 2)
    benchmark.extra_info.update(design=design, over_baseline_step=ratios)
    print(design, "seconds over baseline_step:", ratios)
    benchmark.pedantic(figures, args=("training", system, STEP, 1), rounds=1)
    assert all(ratio > 0 for ratio in ratios.values())


def test_sampling(benchmark: Any) -> None:
    system = guided("res_mlp", *([] if benchmark.enabled else ["num_inference_steps=5"]))
    found = figures("inference", system, BATCH, ROUNDS if benchmark.enabled else 1)
    overhead = round(statistics.median(found["overhead"]), 2)
    sampling = [(g - d) / (w - d) for w, g, d in zip(found["without"], found["with"], found["decode"], strict=True)]
    medians = {name: round(statistics.median(values), 4) for name, values in found.items()}
    medians["sampling_ratio"] = round(statistics.median(sampling), 2)
    benchmark.extra_info.update(overhead=overhead, seconds=medians)
    print("seconds per pair, and the overhead of guidance:", medians)
    benchmark.pedantic(system.pair().sample, args=(make_requests(make_dataset("bounce"), BATCH, 0),), rounds=1)
    assert overhead > 0
