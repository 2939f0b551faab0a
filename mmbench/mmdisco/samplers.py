"""Stepping a pair of modalities from noise to samples, reproducibly for each sample whatever batch it is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.dpm_solver import Predict, State
from mmbench.mmdisco.losses import Times
from mmbench.mmdisco.pairing import Path
from mmbench.mmdisco.paths import walk
from mmbench.mmdisco.sampler_names import SchedulerName
from mmbench.mmdisco.schedule import NoiseSchedule
from mmbench.progress import report_step

Generators = tuple[Sequence[torch.Generator], ...]  # per modality, one generator on the CPU per sample

# Timestep spacings as the released MMDisCo gets them: 981, 961, .. 1 for DDPM, 999, 979, .. 20 for DPM-Solver++.
_SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddpm": (DDPMScheduler, {"clip_sample": False, "timestep_spacing": "leading", "steps_offset": 1}),
    "ddim": (DDIMScheduler, {"clip_sample": False, "timestep_spacing": "leading", "steps_offset": 1}),
    "dpmsolver++2m": (DPMSolverMultistepScheduler, {"solver_order": 2, "timestep_spacing": "linspace"}),
    "sde-dpmsolver++2m": (
        DPMSolverMultistepScheduler,
        {"solver_order": 2, "timestep_spacing": "linspace", "algorithm_type": "sde-dpmsolver++"},
    ),
}


class Sampler(Protocol):
    """Anything that turns noise into samples by calling a predictor; `DPMSolver` is one too."""

    def sample(self, predict: Predict, state: State, generators: Generators) -> State: ...


def make_scheduler(name: SchedulerName, schedule: NoiseSchedule, **config: Any) -> Any:
    """A fresh diffusers scheduler.

    Args:
        name: "ddim" or "dpmsolver++2m"; "ddpm" or "sde-dpmsolver++2m" (arXiv 2211.01095), which add noise.
        schedule: The base model's own noise schedule.
        config: Arguments of the diffusers class, over the defaults of this table.
    """
    if name not in _SCHEDULERS:
        raise UsageError(f"Unknown sampler {name!r}.", f"one of {', '.join(_SCHEDULERS)}")
    scheduler, defaults = _SCHEDULERS[name]
    return scheduler(**{**schedule.scheduler_config(), **defaults, **config})


def initial_noise(shape: Sequence[int], generators: Sequence[torch.Generator], device: torch.device) -> Tensor:
    """(n, *shape) standard normal float32 numbers, row i from generator i alone, drawn on the CPU."""
    return randn_tensor((len(generators), *shape), generator=list(generators), device=device, dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class SchedulerSampler:
    """Steps every modality with a diffusers scheduler of its own, on the same timesteps.

    Args:
        schedulers: Makes a fresh scheduler per modality and run: schedulers keep state while they step.
        num_inference_steps: Steps.
        callback: Called with (index, state) after each evaluation.
        path: Which half moves when: "fraction" (all at the same index), or one at a time, with the other before its
            first step, between two, or clean at t = 0. A discriminator is right on paths whose pairs of levels it was
            trained on (`mmbench.mmdisco.pairing`).
    """

    schedulers: tuple[Callable[[], Any], ...]
    num_inference_steps: int = 50
    callback: Callable[[int, State], None] | None = None
    path: Path = "fraction"

    def timesteps(self) -> list[Tensor]:
        """(num_inference_steps,) int64 per modality."""
        return [self._prepare(make).timesteps for make in self.schedulers]

    def _prepare(self, make: Callable[[], Any], device: torch.device | None = None) -> Any:
        scheduler = make()
        scheduler.set_timesteps(self.num_inference_steps, device=device)
        return scheduler

    def sample(self, predict: Predict, state: State, generators: Generators) -> State:
        """Step `state` to the end.

        Args:
            predict: Predicts the noise in every modality; told which move where not all of them do.
            state: (n, ...) noise per modality.
            generators: Per modality, one per sample: the noise that ancestral steps add to sample i comes from
                generator i alone.

        Raises:
            UsageError: The schedulers disagree about the timesteps; the discriminator knows only one.
        """
        schedulers = [self._prepare(make, state[0].device) for make in self.schedulers]
        timesteps = schedulers[0].timesteps
        if any(not torch.equal(s.timesteps, timesteps) for s in schedulers):
            raise UsageError("The modalities step at different timesteps.", "the same T, spacing and offset for both")
        evaluations = walk(self.path, [_log_snrs(scheduler) for scheduler in schedulers])
        places = [*timesteps, torch.zeros_like(timesteps[0])]  # a half that has ended is seen at the cleanest level
        for number, (done, moving) in enumerate(evaluations):
            report_step(number, len(evaluations))
            times = [places[n].expand(len(state[0])) for n in done]
            t: Times = times[0] if len(set(done)) == 1 else (times[0], times[1])
            noises = predict(state, t, number, *([moving] if len(moving) < len(done) else []))
            stepped = list(state)
            for i in moving:
                g = list(generators[i])
                stepped[i] = schedulers[i].step(noises[i], places[done[i]], state[i], generator=g).prev_sample
            state = tuple(stepped)
            if self.callback is not None:
                self.callback(number, state)
        return state


def _log_snrs(scheduler: Any) -> list[float]:
    """Of the levels before its steps."""
    abar = scheduler.alphas_cumprod.double().cpu()[scheduler.timesteps.cpu().long()]
    return [float(x) for x in (abar / (1 - abar)).log()]


def sample_pair(
    predict: Predict,
    shapes: Sequence[Sequence[int]],
    generators: Generators,
    sampler: Sampler,
    device: torch.device | str = "cpu",
) -> State:
    """Generate n samples of every modality: initial noise, then the sampler's whole loop.

    Args:
        predict: A `JointPredictor`, guided or not.
        shapes: Shape of one sample per modality, without the batch.
        generators: Per modality, n generators on the CPU. The same generators give base and guided runs the same noise.
        sampler: A `SchedulerSampler` or a `DPMSolver`.
        device: Where to sample.

    Returns:
        (n, *shape) float32 per modality.
    """
    state = tuple(initial_noise(s, g, torch.device(device)) for s, g in zip(shapes, generators, strict=True))
    return sampler.sample(predict, state, generators)
