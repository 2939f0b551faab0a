"""A pipeline of diffusers under way: its own call, paused where its loop calls `scheduler.step`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.levels import Level
from mmbench.mmdisco.paused import Paused, Unwound
from mmbench.mmdisco.scheduler_levels import last_level, level_of
from mmbench.mmdisco.scheduler_methods import methods_replaced


@dataclass(frozen=True, eq=False)
class Half:
    """A pipeline and the arguments of its call.

    Attributes:
        pipe: A pipeline of diffusers whose loop steps `pipe.scheduler`.
        call: Arguments, with latents and generator of this sample's own streams.
    """

    pipe: Any
    call: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Step:
    """Where a half is: before a step, or at its end.

    Attributes:
        prediction: What its model predicts, (n, ...), guided by text; at the end, the last one.
        sample: Its latents (n, ...) at its own scale.
        level: Their noise, and what the prediction means.
        number: Steps done, from 0.
        total: Steps of its grid; at the end, `number`.
    """

    prediction: Tensor
    sample: Tensor
    level: Level
    number: int
    total: int

    @property
    def log_snr(self) -> float:
        """Of its level."""
        return self.level.log_snr


class Course:
    """A half under way: its pipeline's own call, paused at each of its steps.

    Args:
        half: The pipeline and its arguments.
        latents_only: End the call after its last step.

    Attributes:
        here: The step before which it rests, or its end.
    """

    here: Step

    def __init__(self, half: Half, latents_only: bool = False) -> None:
        self._half, self._latents_only, self._done = half, latents_only, 0
        self._paused = Paused(self._call)
        self.unwind = self._paused.unwind

    @property
    def ended(self) -> bool:
        """Whether the call has returned or raised."""
        return self._paused.ended

    @property
    def result(self) -> Any:
        """What the pipeline returned, or the latents alone."""
        return self.here.sample if self._latents_only else self._paused.result

    def move(self, prediction: Tensor | None) -> None:
        """Step by a prediction, then on to the next step, or to the end and through what follows the loop.

        Args:
            prediction: Of the step at which it rests; None at the start.

        Raises:
            UsageError: The pipeline does not step its scheduler once for each step of its grid, by predictions.
            BaseException: What the pipeline raised.
        """
        try:
            step = self._paused.resume(prediction)
        except Unwound:  # after the last step, where latents alone are wanted
            step = None
        if step is not None:
            self.here = step
        elif not self._done or self.here.number < self.here.total:
            raise unfit(self._half.pipe, f"steps its scheduler {self._done} times, not once for each step of its grid")

    def _call(self, pause: Callable[[Step], Tensor]) -> Any:
        """What runs in a thread of its own."""
        pipe = self._half.pipe

        def step(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return self._step(pause, original, *args, **kwargs)

        with methods_replaced(pipe.scheduler, step=step):
            return pipe(**self._half.call)

    def _step(self, pause: Callable[[Step], Tensor], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The scheduler's step, with the prediction that comes out of the pause."""
        scheduler = self._half.pipe.scheduler
        given = step_arguments(self._half.pipe, original, *args, **kwargs)
        total = len(scheduler.timesteps)
        if self._done == total:
            raise unfit(self._half.pipe, f"steps more often than the {total} steps of its grid")
        level = level_of(scheduler, given.arguments["timestep"])
        prediction, sample = given.arguments["model_output"], given.arguments["sample"]
        given.arguments["model_output"] = pause(Step(prediction, sample, level, self._done, total))
        stepped = original(*given.args, **given.kwargs)
        self._done += 1
        if self._done == total:
            after = stepped[0] if isinstance(stepped, tuple) else stepped.prev_sample
            self.here = Step(prediction, after, last_level(scheduler), total, total)
            if self._latents_only:
                raise Unwound
        return stepped


def step_arguments(pipe: Any, original: Callable[..., Any], *args: Any, **kwargs: Any) -> inspect.BoundArguments:
    """The arguments by name that a pipeline's loop gives to its scheduler's step.

    Raises:
        UsageError: The step is not by the prediction and one noise level alone.
    """
    given = inspect.signature(original).bind(*args, **kwargs)
    if given.arguments.get("per_token_timesteps") is not None:
        raise unfit(pipe, "steps its tokens by timesteps of their own, with predictions of reversed sign")
    if given.arguments.get("pred_original_sample") is not None:
        raise unfit(pipe, "steps by clean samples of its own instead of predictions")
    return given


def unfit(pipe: Any, found: str) -> UsageError:
    """The error of a pipeline whose steps cannot be met, for the reason `found`."""
    return UsageError(
        f"{type(pipe).__name__} {found}, so it cannot be guided at its steps.",
        "a pipeline that takes latents= and hands pipe.scheduler.step a prediction and latents, once per step",
    )
