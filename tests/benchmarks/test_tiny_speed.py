"""Tables 11 and 12 in miniature: what a training step and guided sampling cost, on the embedded pair.

Ratios of CPU time, medians of interleaved runs in one process: `mmdisco_step` over `baseline_step` (base forward and
backward) as Table 11 composes them, and sampling with guidance over sampling without as Table 12. Run with
`--benchmark-enable`; numbers are in `extra_info`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mmbench.baselines.tiny_networks import audio_model, video_model
from mmbench.mmdisco.design import DESIGNS
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.losses import Noised, mmdisco_losses
from mmbench.registry import make_dataset, make_system
from mmbench.runspec import make_requests

BATCH, ROUNDS, STEPS = 8, 5, 5


@pytest.fixture(scope="module")
def pair() -> Any:
    torch.set_num_threads(1)
    return make_system("tiny", dataset=make_dataset("bounce"), device="cpu", num_inference_steps=STEPS).pair()


def noised(pair: Any) -> Noised:
    sample = tuple(torch.randn(BATCH, *shape) for shape in pair.shapes)
    noise = tuple(torch.randn_like(z) for z in sample)
    text = tuple(z.expand(BATCH, -1) for z in pair.unconditional)
    return Noised(sample, noise, torch.randint(0, 1000, (BATCH,)), text, text)


def seconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU time of each call, all calls in turn, after one round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(ROUNDS + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if k:
                taken[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


@pytest.mark.parametrize("design", DESIGNS)
def test_training_step(design: str, pair: Any, benchmark: Any) -> None:
    torch.manual_seed(0)
    model = Discriminator(pair.discriminator(design))
    bases = video_model(), audio_model()
    alphas_cumprod = tuple(s.alphas_cumprod for s in pair.schedules)

    def step(**weights: float) -> None:
        mmdisco_losses(model, pair.epsilon, alphas_cumprod, noised(pair), noised(pair), **weights).total.backward()  # type: ignore[arg-type]

    def base_step() -> None:
        batch = noised(pair)
        for base, x, noise, text in zip(bases, batch.sample, batch.noise, batch.text, strict=True):
            (base(x, batch.t, text) - noise).square().mean().backward()

    taken = seconds(
        {
            "baseline_step": base_step,
            "base_forward": lambda: pair.epsilon(*noised(pair).sample, noised(pair).t, noised(pair).text),
            "disc": lambda: step(weight_discrimination=1.0, weight_denoising=0.0),
            "denoise": lambda: step(weight_discrimination=0.0, weight_denoising=1.0),
            "all": lambda: step(weight_discrimination=1.0, weight_denoising=1.0),
        }
    )
    ratios = {name: round(value / taken["baseline_step"], 2) for name, value in taken.items()}
    benchmark.extra_info.update(design=design, over_baseline_step=ratios)
    print(design, "seconds over baseline_step:", ratios)
    benchmark.pedantic(step, kwargs={"weight_discrimination": 1.0, "weight_denoising": 1.0}, rounds=1)
    assert all(p.grad is not None for p in model.parameters())


def test_sampling(pair: Any, benchmark: Any) -> None:
    dataset = make_dataset("bounce")
    requests = make_requests(dataset, 16, 0)
    guided = make_system("tiny+mmdisco", dataset=dataset, device="cpu", num_inference_steps=STEPS)
    text = tuple(z.expand(16, -1) for z in pair.unconditional)
    assert guided._guide(text, text).scale != (0.0, 0.0)
    taken = seconds(
        {
            "without": lambda: pair.sample(requests),
            "with": lambda: guided.pair().sample(requests, guided._guide),
            "decode": lambda: pair.decode(*pair.sample(requests), requests),
        }
    )
    ratio = round(taken["with"] / taken["without"], 2)
    benchmark.extra_info.update(with_over_without=ratio, seconds={k: round(v, 3) for k, v in taken.items()})
    print("sampling with over without:", ratio)
    benchmark.pedantic(pair.sample, args=(requests,), rounds=1)
