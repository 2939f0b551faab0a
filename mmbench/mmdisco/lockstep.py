"""Two pipelines of diffusers guided together: both pause where their loops call `scheduler.step`; nothing is copied.

Every loop hands its scheduler, once per step, a prediction after classifier-free guidance, a timestep and the latents
themselves. There a correction enters any kind of prediction by addition, and no line is needed for any pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.course import Course, Half, Step
from mmbench.mmdisco.joint_guide import Corrections, JointGuide
from mmbench.mmdisco.pairing import Path
from mmbench.mmdisco.paths import movers_of
from mmbench.progress import report_step

Correct = Callable[[tuple[Step, Step]], Corrections]


def generate(
    halves: tuple[Half, Half],
    correct: Correct | None = None,
    path: Path = "fraction",
    on_turn: Callable[[int], None] | None = None,
    latents_only: bool = False,
) -> list[Any]:
    """Call two pipelines together, each guided by the latents of the other.

    Without corrections, or with corrections of zero, both return what they return when called alone, bit for bit. They
    run in turn, so memory of their steps is never in use twice.

    Args:
        halves: Video and audio.
        correct: Asked once per new pair of levels for what is added to either prediction, in float32 (float64 stays);
            None samples both alone.
        path: Which half moves. "fraction" (that which has done the smaller share of its steps), "log_snr" (that with
            the lower log SNR), "video_first" or "audio_first" (one waits at its first step until the other has ended).
            A discriminator is right on paths whose pairs of levels it was trained on.
        on_turn: Told, before a half moves, which: 0 or 1. The weights of the other are not in use until its next turn.
        latents_only: End either call after its last step, before anything is decoded.

    Returns:
        What either pipeline returns; with `latents_only` the latents (n, ...) of its loop, for `black_box.decode`.

    Raises:
        UsageError: A pipeline or scheduler that cannot be guided so; a correction of another shape.
        BaseException: What a pipeline or `correct` raised. The other pipeline is ended, and both schedulers are theirs.
    """
    movers_at = movers_of(path)
    courses = [Course(half, latents_only) for half in halves]
    remainders: list[Tensor | None] = [None, None]

    def move(i: int, prediction: Tensor | None) -> None:
        if on_turn is not None:
            on_turn(i)
        courses[i].move(prediction)

    try:
        for i in range(len(courses)):
            move(i, None)
        while not all(course.ended for course in courses):
            here = (courses[0].here, courses[1].here)
            report_step(sum(at.number for at in here), sum(at.total for at in here))
            movers = movers_at(here)
            corrections: Corrections = (None, None) if correct is None else correct(here)
            for i in movers:
                prediction, remainders[i] = add_correction(here[i].prediction, corrections[i], remainders[i])
                move(i, prediction)
    finally:
        for course in courses:
            course.unwind()
    return [course.result for course in courses]


def corrections_of(guide: JointGuide) -> Correct:
    """A discriminator's guidance as the corrections of one call of `generate`."""
    evaluations = count()

    def correct(steps: tuple[Step, Step]) -> Corrections:
        video, audio = (_wide(step.sample) for step in steps)
        predictions = _wide(steps[0].prediction), _wide(steps[1].prediction)
        return guide.corrections((video, audio), (steps[0].level, steps[1].level), next(evaluations), predictions)

    return correct


def _wide(z: Tensor) -> Tensor:
    """In float32; float64 stays."""
    return z if z.dtype == torch.float64 else z.float()


def add_correction(
    prediction: Tensor, correction: Tensor | None, remainder: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """The corrected prediction in its own precision, and what rounding to it left out.

    What a pipeline predicts in bfloat16 is a number of bfloat16, so a correction below half of what that resolves would
    leave no trace, step after step. Its remainder is added at the half's next step. In float32 nothing is left out.

    Args:
        prediction: Of a half, (n, ...).
        correction: Of the same shape; None adds nothing.
        remainder: What was left out at the half's last step.

    Returns:
        (prediction, remainder); without a correction both as they came.

    Raises:
        UsageError: A correction of another shape.
    """
    if correction is None:
        return prediction, remainder
    if correction.shape != prediction.shape:
        raise UsageError(
            f"A correction of shape {tuple(correction.shape)} for a prediction of shape {tuple(prediction.shape)}.",
            "a model that predicts as many channels as it reads, and a correction of its latents' shape",
        )
    wide = torch.promote_types(torch.promote_types(prediction.dtype, correction.dtype), torch.float32)
    added = correction.to(wide) if remainder is None else correction.to(wide) + remainder.to(wide)
    exact = prediction.to(wide) + added
    rounded = exact.to(prediction.dtype)
    return rounded, None if rounded.dtype == wide else exact - rounded.to(wide)
