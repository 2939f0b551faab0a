"""A pipeline of diffusers as a denoiser of noised latents and as a decoder of clean ones: its own call, nothing copied.

A call whose grid is one step, ended at that step, shows what its model predicts there. A call whose grid is empty hands
the latents it is given to its decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from mmbench.mmdisco.course import Half, unfit
from mmbench.mmdisco.first_step import first_step, set_then
from mmbench.mmdisco.levels import Level
from mmbench.mmdisco.paused import Unwound
from mmbench.mmdisco.scheduler_levels import (
    level_of_alpha_cumprod,
    level_of_sigma,
    lives_on_training_steps,
    require_readable,
)
from mmbench.mmdisco.scheduler_methods import methods_replaced

ROUNDING = 2.0**-7  # of bfloat16, in which some pipelines keep their latents


class Denoiser:
    """A pipeline as a function of latents and a noise level, of which nothing is stepped; it samples as before.

    The levels are those that its model was trained at: the T training steps of a scheduler that holds them, t = 0 the
    cleanest; else, of flows and EDM, the pipeline's own grid in `num_levels` steps, shifted as the pipeline shifts it,
    counted from the cleanest, too.

    Args:
        half: The pipeline and its arguments, without latents. What it predicts is guided by text as they say: with a
            `guidance_scale` of 1.0 it is the model's conditional prediction.
        num_levels: Steps of the grid of flows and EDM.
        prompt: What the call takes besides; any prompt, to find the grid and to see that latents arrive as they are.

    Attributes:
        levels: T of them, of rising noise.

    Raises:
        UsageError: The scheduler's levels are not known or not of rising noise, or the pipeline changes latents that it
            is given or sets a grid of its own.
    """

    def __init__(self, half: Half, num_levels: int = 1000, **prompt: Any) -> None:
        self._pipe = half.pipe
        scheduler = half.pipe.scheduler
        require_readable(scheduler)
        self._at_training_steps = lives_on_training_steps(scheduler)
        steps = {} if self._at_training_steps else {"num_inference_steps": num_levels}
        self._call = {"generator": torch.Generator().manual_seed(0), **half.call, **steps}
        self.levels = self._training_levels() if self._at_training_steps else self._grid_levels(prompt)
        if any(low.angle > high.angle for low, high in zip(self.levels, self.levels[1:], strict=False)):
            raise unfit(self._pipe, "has noise levels that do not rise")
        self._probe(prompt)

    def __call__(self, x_t: Tensor, t: int, **prompt: Any) -> Tensor:
        """What the model predicts of x_t (n, ...), raw latents of the pipeline at `levels[t]`; in its own precision."""
        return self._first_step(x_t, t, prompt)[0]

    def _first_step(self, x_t: Tensor, t: int, prompt: Mapping[str, Any]) -> tuple[Tensor, Tensor, Level]:
        """(prediction, latents, level) that the pipeline's loop comes to at the only step."""
        call = {**self._call, **prompt, "latents": x_t}
        return first_step(self._pipe, call, unit_noise=True, grid=lambda scheduler: self._go_to(scheduler, t))

    def _go_to(self, scheduler: Any, t: int) -> None:
        """Leave one step of the grid: that of index t."""
        if not self._at_training_steps:
            i = len(self.levels) - 1 - t
            scheduler.timesteps, scheduler.sigmas = scheduler.timesteps[i : i + 1], scheduler.sigmas[i : i + 2]
            return
        scheduler.timesteps = torch.full_like(scheduler.timesteps[:1], t)
        if hasattr(scheduler, "sigmas"):
            sigma = _sigmas(scheduler)[t : t + 1]
            scheduler.sigmas = torch.cat([sigma, torch.zeros_like(sigma)])

    def _training_levels(self) -> list[Level]:
        scheduler = self._pipe.scheduler
        if hasattr(scheduler, "sigmas"):
            return [level_of_sigma(scheduler, sigma) for sigma in _sigmas(scheduler).tolist()]
        return [level_of_alpha_cumprod(scheduler, abar) for abar in scheduler.alphas_cumprod.tolist()]

    def _grid_levels(self, prompt: Mapping[str, Any]) -> list[Level]:
        """Read after a call that ends once its grid is set."""
        scheduler = self._pipe.scheduler

        def end(scheduler: Any) -> None:
            raise Unwound

        with methods_replaced(scheduler, set_timesteps=set_then(scheduler, end)), suppress(Unwound):
            self._pipe(**{**self._call, **prompt})
        sigmas = scheduler.sigmas[: len(scheduler.timesteps)].flip(0).tolist()
        return [level_of_sigma(scheduler, sigma) for sigma in sigmas]

    def _probe(self, prompt: Mapping[str, Any]) -> None:
        """See that noised latents arrive at the step as they are, at the level that is meant."""
        x_t = torch.ones_like(first_latents(Half(self._pipe, self._call), **prompt))
        t = len(self.levels) // 2
        _, sample, level = self._first_step(x_t, t, prompt)
        if not torch.equal(sample, x_t):
            raise unfit(self._pipe, "changes latents that it is given")
        if abs(level.angle - self.levels[t].angle) > 1e-6:
            raise unfit(self._pipe, f"steps at another noise level (a, b) = ({level.a:.4g}, {level.b:.4g})")


def first_latents(half: Half, **prompt: Any) -> Tensor:
    """The latents (n, ...) of pure noise that a pipeline's loop starts with: their shape, precision and device.

    Found by a call that ends at its first step. A second one sees that `latents=` takes noise of unit variance in that
    shape, which the pipeline scales to its scheduler's first noise.

    Raises:
        UsageError: It takes latents of another shape or scale, or the scheduler's levels are not known.
    """
    call = {"generator": torch.Generator().manual_seed(0), **half.call, **prompt}
    latents = first_step(half.pipe, call)[1]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1), device="cpu").to(latents)
    given = first_step(half.pipe, {**call, "latents": noise})[1]
    scale = float(getattr(half.pipe.scheduler, "init_noise_sigma", 1.0))
    if given.shape != latents.shape or not torch.allclose(given, scale * noise, rtol=ROUNDING):
        raise unfit(half.pipe, "does not scale unit noise, given as latents, to the first noise level")
    return latents


def decode(half: Half, latents: Tensor, **prompt: Any) -> Any:
    """What a pipeline makes of clean latents (n, ...) of its loop: its own call, which has no steps to take.

    Args:
        half: The pipeline and its arguments, without latents.
        latents: As its loop ends with them (`lockstep.generate` with `latents_only`).
        prompt: What the call takes besides.

    Returns:
        What the pipeline returns.
    """

    def leave_none(scheduler: Any) -> None:
        scheduler.timesteps = scheduler.timesteps[:0]

    scheduler = half.pipe.scheduler
    with methods_replaced(scheduler, unit_noise=True, set_timesteps=set_then(scheduler, leave_none)):
        return half.pipe(**{"generator": torch.Generator().manual_seed(0), **half.call, **prompt, "latents": latents})


def _sigmas(scheduler: Any) -> Tensor:
    """(T,) noise relative to signal at the steps of training, as schedulers compute it."""
    return ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).cpu() ** 0.5
