"""The first step of a pipeline's call, which ends there, on a grid that may be changed before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor

from mmbench.mmdisco.course import step_arguments, unfit
from mmbench.mmdisco.levels import Level
from mmbench.mmdisco.paused import Unwound
from mmbench.mmdisco.scheduler_levels import level_of
from mmbench.mmdisco.scheduler_methods import methods_replaced

Grid = Callable[[Any], None]  # changes the timesteps that a scheduler has just been set to


def first_step(
    pipe: Any, call: Mapping[str, Any], unit_noise: bool = False, grid: Grid | None = None
) -> tuple[Tensor, Tensor, Level]:
    """(prediction, latents, level) at the first step of a pipeline's call, which ends there.

    Args:
        pipe: The pipeline.
        call: Its arguments.
        unit_noise: Whether latents that are given arrive as they are, not scaled to the scheduler's first noise.
        grid: Changes the timesteps that the pipeline has set.

    Raises:
        UsageError: The call ends without a step.
    """
    seen: list[tuple[Tensor, Tensor, Level]] = []

    def step(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        given = step_arguments(pipe, original, *args, **kwargs).arguments
        seen.append((given["model_output"], given["sample"], level_of(pipe.scheduler, given["timestep"])))
        raise Unwound

    methods: dict[str, Callable[..., Any]] = {"step": step}
    if grid is not None:
        methods["set_timesteps"] = set_then(pipe.scheduler, grid)
    with methods_replaced(pipe.scheduler, unit_noise, **methods), suppress(Unwound):
        pipe(**call)
    if not seen:
        raise unfit(pipe, "never stepped its scheduler")
    return seen[0]


def set_then(scheduler: Any, change: Grid) -> Callable[..., None]:
    """A `set_timesteps` of a scheduler that is followed by a change of what it set."""

    def set_timesteps(original: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        change(scheduler)

    return set_timesteps
