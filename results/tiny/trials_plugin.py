"""`tiny` sampled and guided in ways that mmbench has no option for: what was tried for guidance that pairs.

    mmbench --plugin results/tiny/trials_plugin.py run -s tiny_trial -s tiny_trial+mmdisco-res_frieren -d bounce \\
        -n 128 --seed 3 --set lag=12 \\
        --set discriminator=mmbench/baselines/data/tiny+mmdisco-res_frieren-bounce-independent.safetensors

README.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from mmbench.baselines.kinds.discriminators import Guide
from mmbench.baselines.kinds.guided import PairSystem
from mmbench.baselines.kinds.guiding import Guiding
from mmbench.baselines.kinds.pair import STREAMS, Sampling, generator_of
from mmbench.baselines.models.tiny.pair import TinyPair
from mmbench.baselines.tiny import JOINT_SCALES, components
from mmbench.mmdisco.guidance import Guidance
from mmbench.mmdisco.losses import Pair, Times, per_sample
from mmbench.mmdisco.samplers import initial_noise
from mmbench.networks.devices import deterministic_kernels, local_device
from mmbench.registry import register
from mmbench.types import Dataset, Request, Spec

SLOPES = ((0, 20, 400, 600, 700, 800, 950, 999), (1.04, 1.04, 0.75, 0.69, 0.80, 0.45, 0.18, 0.18))  # decomposition.md
Predict = Callable[[Sequence[Tensor], tuple[int, int], Sequence[bool]], list[Tensor]]


@dataclass(frozen=True)
class Trial:
    """How a sample is made otherwise.

    Attributes:
        lag: Evaluations by which the sound begins after the video; the video after the sound if negative. The half
            that has ended or not begun is seen as it is, at t = 0 or at the first t.
        weight: Of the gradient by level: "one", or "slope", by which its logits are as sure as they should be.
        travel: (times, first, end): steps of DDIM from first to end are taken so many times, each time from fresh noise
            back at their level; () for DPM-Solver++. Without lag.
    """

    lag: int = 0
    weight: str = "one"
    travel: tuple[int, ...] = ()


class TrialPair(TinyPair):
    """`TinyPair` as a trial samples it."""

    def __init__(self, device: str, sampling: Sampling, trial: Trial) -> None:
        super().__init__(device, sampling)
        self.trial = trial

    def sample_tile(self, requests: Sequence[Request], guidance: Any = None, epsilon: Any = None) -> Pair:
        if guidance is None:
            return super().sample_tile(requests, None, epsilon)
        condition, empty = self.conditions(requests)
        guide: Guidance = guidance(condition, empty)
        generators = [[generator_of(r, stream) for r in requests] for stream in STREAMS]
        noise = [initial_noise(z, g, torch.device("cpu")) for z, g in zip(self.shapes, generators, strict=True)]

        def predict(state: Sequence[Tensor], t: tuple[int, int], moving: Sequence[bool]) -> list[Tensor]:
            times = tuple(torch.full((len(requests),), place) for place in t)
            asked: Times = times[0] if t[0] == t[1] else (times[0], times[1])
            gradient = guide.free_gradient(state[0], state[1], asked, None)
            out = []
            for m, epsilon_of in enumerate((self.epsilon_video, self.epsilon_audio)):
                if not moving[m]:
                    out.append(torch.zeros_like(state[m]))
                    continue
                with torch.no_grad():
                    eps = epsilon_of(state[m], times[m], condition[m])
                sigma = (1 - self.schedules[m].alphas_cumprod[times[m]]).sqrt()
                weight = float(np.interp(t[m], *SLOPES)) if self.trial.weight == "slope" else 1.0
                out.append(eps - per_sample(guide.scale[m] * weight * sigma, eps) * gradient[m])
            return out

        with deterministic_kernels(self.device):
            x, y = (
                self._travel(predict, noise, generators) if self.trial.travel else self._lag(predict, noise, generators)
            )
        return x, y

    def _lag(
        self, predict: Predict, state: list[Tensor], generators: Sequence[Sequence[torch.Generator]]
    ) -> list[Tensor]:
        sampler = self.sampler()
        schedulers = [sampler._prepare(make) for make in sampler.schedulers]
        grids = [scheduler.timesteps for scheduler in schedulers]
        total, lag = len(grids[0]), self.trial.lag
        for k in range(total + abs(lag)):
            places = [k - max(0, -lag), k - max(0, lag)]
            t = [int(grid[max(i, 0)]) if i < total else 0 for grid, i in zip(grids, places, strict=True)]
            moving = [0 <= i < total for i in places]
            predicted = predict(state, (t[0], t[1]), moving)
            for m in (m for m in (0, 1) if moving[m]):
                t_m, drawn = grids[m][places[m]], list(generators[m])
                state[m] = schedulers[m].step(predicted[m], t_m, state[m], generator=drawn).prev_sample
        return state

    def _travel(
        self, predict: Predict, state: list[Tensor], generators: Sequence[Sequence[torch.Generator]]
    ) -> list[Tensor]:
        times, first, end = self.trial.travel
        num, total = self.sampling.num_inference_steps, self.schedules[0].num_train_timesteps
        grid = [k * (total // num) + 1 for k in range(num)][::-1]
        for k, t in enumerate(grid):
            repeats = times if first <= k < end else 1
            for turn in range(repeats):
                predicted = predict(state, (t, t), (True, True))
                for m, schedule in enumerate(self.schedules):
                    here = float(schedule.alphas_cumprod[t])
                    after = float(schedule.alphas_cumprod[grid[k + 1]]) if k + 1 < num else 1.0
                    clean = (state[m] - (1 - here) ** 0.5 * predicted[m]) / here**0.5
                    state[m] = after**0.5 * clean + (1 - after) ** 0.5 * predicted[m]
                    if turn + 1 < repeats:
                        fresh = randn_tensor(state[m].shape, generator=list(generators[m]), dtype=torch.float32)
                        state[m] = (here / after) ** 0.5 * state[m] + (1 - here / after) ** 0.5 * fresh
        return state


@register("system", "tiny_trial", "tiny, sampled and guided as no option has it", guidable=True)
class TinyTrial(PairSystem):
    """Generates video and audio of a prompt; with +mmdisco as the trial says."""

    scorer = "ib_bounce_av"

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        sampler: str = "dpmsolver++2m",
        num_inference_steps: int = 25,
        joint_scale: tuple[float, float] | None = None,
        lag: int = 0,
        weight: str = "one",
        travel: tuple[int, ...] = (),
        discriminator: str = "",
        guidance: Any = None,
    ) -> None:
        scale = tuple(joint_scale or JOINT_SCALES.get(dataset.name, (1.0, 1.0)))
        guiding = Guiding.read("tiny_trial", guidance, None, None, "ieee")
        sampling = Sampling(sampler, num_inference_steps, None, (scale[0], scale[1]), guiding)
        self.trial = Trial(lag, weight, tuple(travel))

        def load() -> TrialPair:
            return TrialPair(local_device(device), sampling, self.trial)

        guide = Guide(discriminator, label="tiny")
        super().__init__(
            "tiny_trial", load, components("tiny"), "trained", sampling, dataset, guidance, batch_size=16, guide=guide
        )

    def spec(self) -> Spec:
        """Also the trial."""
        return {**super().spec(), "trial": [self.trial.lag, self.trial.weight, list(self.trial.travel)]}
