"""Stepping a pair of modalities from noise to samples, reproducibly for each sample whatever batch it is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.dpm_solver import Predict, State
from mmbench.mmdisco.schedule import NoiseSchedule
from mmbench.progress import report_step

Generators = tuple[Sequence[torch.Generator], ...]  # per modality, one generator on the CPU per sample
SchedulerName = Literal["ddpm", "ddim", "dpmsolver++2m"]

# Timestep spacings as the released MMDisCo gets them: 981, 961, .. 1 for DDPM, 999, 979, .. 20 for DPM-Solver++.
_SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddpm": (DDPMScheduler, {"clip_sample": False, "timestep_spacing": "leading", "steps_offset": 1}),
    "ddim": (DDIMScheduler, {"clip_sample": False, "timestep_spacing": "leading", "steps_offset": 1}),
    "dpmsolver++2m": (DPMSolverMultistepScheduler, {"solver_order": 2, "timestep_spacing": "linspace"}),
}


class Sampler(Protocol):
    """Anything that turns noise into samples by calling a predictor; `DPMSolver` is one too."""

    def sample(self, predict: Predict, state: State, generators: Generators) -> State: ...


def make_scheduler(name: SchedulerName, schedule: NoiseSchedule, **config: Any) -> Any:
    """A fresh diffusers scheduler: ancestral "ddpm", "ddim", or "dpmsolver++2m".

    Args:
        name: The sampler.
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
    """Steps every modality with a diffusers scheduler of its own, all at the same index of the same timesteps.

    Args:
        schedulers: Makes a fresh scheduler per modality and run: schedulers keep state while they step.
        num_inference_steps: Steps.
        callback: Called with (index, state) after each step.
    """

    schedulers: tuple[Callable[[], Any], ...]
    num_inference_steps: int = 50
    callback: Callable[[int, State], None] | None = None

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
            predict: Predicts the noise in every modality.
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
        for step, t in enumerate(timesteps):
            report_step(step, len(timesteps))
            noises = predict(state, t.expand(len(state[0])), step)
            state = tuple(
                scheduler.step(noise, t, z, generator=list(g)).prev_sample
                for scheduler, noise, z, g in zip(schedulers, noises, state, generators, strict=True)
            )
            if self.callback is not None:
                self.callback(step, state)
        return state


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
