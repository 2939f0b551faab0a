"""What guidance adds to an evaluation of MM-Diffusion, as a share of CPU time; Table 12 of arXiv 2405.17842 says 15 %.

With `--benchmark-enable` at the published sizes (random weights; C = 128, L = 2), one sample, one thread; otherwise at
tiny size, to keep the code running. Numbers are in `extra_info`.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

import torch

from mmbench.baselines.kinds.pair import Sampling
from mmbench.baselines.models.mm_diffusion.pair import load_pair
from mmbench.baselines.parts.options import CommonOptions
from mmbench.datasets.mm_diffusion import FORMAT
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.guidance import Guidance, JointPredictor
from mmbench.networks.devices import one_thread
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Prompt, Request

ROUNDS = 2


def test_guidance_beside_an_evaluation_of_the_base(benchmark: Any) -> None:
    full = benchmark.enabled
    form = FORMAT if full else replace(FORMAT, num_frames=8, height=16, width=16, num_samples=1024)
    sampling = Sampling("mmdisco", 20, joint_scale=(1.0, 1.0))
    pair = load_pair(CommonOptions("random" if full else "tiny", "float32"), {"unet": ""}, form, sampling, "cpu")
    model = Discriminator(pair.discriminator("res_mlp")).eval().requires_grad_(False)
    fill_randomly(model, "benchmark")
    schedules = tuple(schedule.alphas_cumprod for schedule in pair.schedules)
    request = Request(Prompt("0", ""), 0, 0)
    alone = JointPredictor(pair.epsilon_for([request]), schedules)  # type: ignore[arg-type]
    guided = replace(alone, guidance=Guidance(model))
    g = torch.Generator().manual_seed(0)
    state = tuple(torch.randn(1, *shape, generator=g) for shape in pair.shapes)
    t = torch.tensor([500])

    def seconds(predictor: JointPredictor) -> float:
        start = time.process_time()
        out = predictor(state, t)  # type: ignore[arg-type]
        assert all(torch.isfinite(z).all() for z in out)
        return time.process_time() - start

    with one_thread():
        times = [(seconds(alone), seconds(guided)) for _ in range(1 + ROUNDS)][1:]
    base, both = (statistics.median(column) for column in zip(*times, strict=True))
    overhead = statistics.median(b / a for a, b in times) - 1
    figures = {"base_s": base, "guided_s": both, "overhead": overhead}
    benchmark.extra_info.update(figures)
    print({name: round(value, 4) for name, value in figures.items()})
    benchmark.pedantic(guided, args=(state, t), rounds=1)
