"""Whether a scheduler of diffusers keeps to the noise levels that `level_of` reads: measured, whatever its class.

A model that knows x_0 must be carried along x_t = a x_0 + b eps by the scheduler's own steps. A scheduler that is new
or misread carries it elsewhere, and is refused before anything is guided by wrong levels.
"""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.levels import Level
from mmbench.mmdisco.scheduler_levels import EXPECTED, NEXT, last_level, level_of, require_readable

MOST_DEVIATION = 1e-4
NUM_STEPS = 20
NUM_ELEMENTS = 4096
LARGE = 1e6  # a signal beside which fresh noise does not count


def follows(scheduler: Any, num_steps: int = NUM_STEPS) -> float:
    """The largest deviation of a scheduler's samples from x_t = a x_0 + b eps, in units of c, under a model that knows.

    A deterministic scheduler is followed at every step and at the end, where `last_level` says what noise it leaves. Of
    a stochastic one the signal a x_0 is followed, of an x_0 so large that fresh noise does not count, and with an x_0
    of unit size the end, up to six standard deviations of the noise that it leaves. The scheduler itself is untouched,
    and so is the global random state.

    Args:
        scheduler: A scheduler of diffusers, of which a new instance is taken through a grid.
        num_steps: Of that grid.

    Raises:
        UsageError: Its levels are not known, or its class is refused (`reason_against`).
    """
    run = _carry(scheduler, num_steps)
    if run.equals(_carry(scheduler, num_steps, seed=1, global_seed=1)):
        return run.deviation()
    signal = _carry(scheduler, num_steps, size=LARGE)
    return float(torch.tensor([signal.deviation(), run.deviation_at_end()], device="cpu").max())  # nan stays nan


def draws_globally(scheduler: Any, num_steps: int = NUM_STEPS) -> bool:
    """Whether a scheduler that is given a generator draws from torch's global random state all the same."""
    return not _carry(scheduler, num_steps).equals(_carry(scheduler, num_steps, global_seed=1))


def require_followed(scheduler: Any) -> None:
    """Refuse a scheduler whose predictions cannot be guided at its steps, or whose noise is not the generator's.

    Raises:
        UsageError: It does not keep to the levels that are read to 1e-4, or they are not known, or it draws from
            torch's global random state, so that a sample would depend on what was sampled before it.
    """
    name = type(scheduler).__name__
    deviation = follows(scheduler)
    if not deviation <= MOST_DEVIATION:  # nan is refused, too
        raise UsageError(
            f"{name} leaves the noise levels read from it by {deviation:.2g} (in units of x_t's scale; at most"
            f" {MOST_DEVIATION:g}), so it would be guided wrongly.",
            EXPECTED,
            NEXT,
        )
    if draws_globally(scheduler):
        raise UsageError(
            f"{name} with this configuration draws noise from torch's global random state.",
            "a scheduler that draws from the generator it is given, or none that draws",
            NEXT,
        )


@dataclass(frozen=True)
class _Run:
    """What a scheduler made of x_0 and eps (n,): samples and levels, from the first step's to the last one's result."""

    x_0: Tensor
    eps: Tensor
    samples: list[Tensor]
    levels: list[Level]

    def equals(self, other: _Run) -> bool:
        """Whether all samples are the same, bit for bit."""
        return all(torch.equal(x, y) for x, y in zip(self.samples, other.samples, strict=True))

    def deviation(self) -> float:
        """Largest anywhere, relative to c and to the size of x_0."""
        size = max(float(self.x_0.std()), 1.0)
        far = [
            (x - at.a * self.x_0 - at.b * self.eps).abs().max() / (at.scale * size)
            for x, at in zip(self.samples, self.levels, strict=True)
        ]
        return float(torch.stack(far).max())

    def deviation_at_end(self) -> float:
        """Of the last sample from a x_0, beyond six standard deviations of the noise it may keep."""
        at = self.levels[-1]
        return float((self.samples[-1] - at.a * self.x_0).abs().max().sub(6 * at.b).clamp(min=0))


def _carry(scheduler: Any, num_steps: int, seed: int = 0, global_seed: int = 0, size: float = 1.0) -> _Run:
    """Take a new instance of the scheduler through a grid, with predictions that know an x_0 of this size.

    What is clipped of an x_0 is no matter of noise levels, so nothing is.
    """
    require_readable(scheduler)
    config = scheduler.config
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a scheduler has to say, it says to its pipeline
        torch.manual_seed(global_seed)
        unclipped = {k: False for k in ("clip_sample", "thresholding") if k in config}
        stepper = type(scheduler).from_config(config, **unclipped)
        grid: dict[str, Any] = {"mu": 1.0} if config.get("use_dynamic_shifting") else {}
        if config.get("num_train_timesteps", num_steps) < num_steps:  # Stable Audio 3's 1: its pipeline gives sigmas
            grid["sigmas"] = torch.linspace(1, 1 / num_steps, num_steps).tolist()
        stepper.set_timesteps(num_steps, **grid)
        draws = torch.Generator().manual_seed(0)
        x_0, eps = torch.randn(2, 1, NUM_ELEMENTS, generator=draws)
        return _step_through(stepper, size * x_0, eps, torch.Generator().manual_seed(seed))


def _step_through(scheduler: Any, x_0: Tensor, eps: Tensor, generator: torch.Generator) -> _Run:
    """Every step of a scheduler's grid, each with the prediction that knows x_0 and so the noise of its sample."""
    parameters = inspect.signature(scheduler.step).parameters
    extra = {"generator": generator} if "generator" in parameters else {}
    run = _Run(x_0, eps, [], [])
    x_t, x_0_before, t_before = None, None, None
    for t in scheduler.timesteps:
        at = level_of(scheduler, t)
        x_t = at.a * x_0 + at.b * eps if x_t is None else x_t
        run.samples.append(x_t)
        run.levels.append(at)
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(x_t, t)  # some count it
        p = at.prediction(x_0, (x_t - at.a * x_0) / at.b if at.b else eps)
        if "timestep_back" in parameters:  # CogVideoX's DPM-Solver
            x_t, x_0_before = scheduler.step(p, x_0_before, t, t_before, x_t, return_dict=False, **extra)
        else:
            x_t = scheduler.step(p, t, x_t, return_dict=False, **extra)[0]
        t_before = t
    run.samples.append(x_t if x_t is not None else x_0)
    run.levels.append(last_level(scheduler))
    return run
