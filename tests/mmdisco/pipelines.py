"""Small pipelines of diffusers with the arguments of one call, and what a model that knows x_0 ~ N(0, 1) predicts."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mmbench.baselines.models.pipelines.tiny import make_tiny
from mmbench.mmdisco.course import Half, Step
from mmbench.mmdisco.joint_guide import Corrections

VIDEO = ("WanPipeline", "LTXPipeline", "CogVideoXPipeline", "AnimateDiffPipeline", "MochiPipeline")
AUDIO = (
    *("StableAudioPipeline", "AudioLDM2Pipeline", "LongCatAudioDiTPipeline", "StableAudio3Pipeline"),
    "AudioLDMPipeline",
)

made = cache(make_tiny)


def half(name: str, steps: int = 4, n: int = 1, guidance: float = 3.0, **call: Any) -> Half:
    """A small pipeline and a call of its own random streams."""
    pipe, arguments = made(name)
    own = {"prompt": ["a dog barks"] * n, "num_inference_steps": steps, "guidance_scale": guidance}
    generator = torch.Generator().manual_seed(7 if name in VIDEO else 8)
    return Half(pipe, {**arguments, **own, "generator": generator, **call})


def plain(half: Half) -> Tensor:
    """What the pipeline makes when it is called alone."""
    return first(half.pipe(**half.call))


def first(output: Any) -> Tensor:
    """The tensor in what a pipeline returned."""
    return torch.as_tensor(output[0])


def zeros(steps: tuple[Step, Step]) -> Corrections:
    """Corrections by a discriminator that knows nothing."""
    return torch.zeros(steps[0].sample.shape), torch.zeros(steps[1].sample.shape)


def exact(step: Step) -> Tensor:
    """What is added to make the prediction that of the exact model of x_0 ~ N(0, 1)."""
    level, x_t = step.level, step.sample.float()
    x_0 = x_t * level.a / level.scale**2
    return level.prediction(x_0, (x_t - level.a * x_0) / level.b) - step.prediction.float()


def guided(step: Step, gradient: Tensor | float) -> Tensor | None:
    """`exact`, guided by the gradient of a logit by x_t / c; None at the end of a half."""
    if step.number == step.total:
        return None
    level = step.level
    return exact(step) + (level.gain / level.scale * gradient if level.guidable else 0.0)
