"""Small untrained pipelines of diffusers' own classes, for tests and for trying a pair before its weights are there.

Nothing is downloaded. Weights depend on the class's name alone; torch's global generator is left as it was.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any

import diffusers
import torch
import transformers
from torch import nn

from mmbench.baselines.models.pipelines import tiny_audio, tiny_video
from mmbench.baselines.models.pipelines.tiny_text import MAX_TOKENS
from mmbench.errors import UsageError
from mmbench.networks.random_weights import random_array

STEPS: Mapping[str, Any] = MappingProxyType({"num_inference_steps": 4})
SMALL: Mapping[str, Any] = MappingProxyType({"height": 32, "width": 32, "num_frames": 17})
T5: Mapping[str, Any] = MappingProxyType({"max_sequence_length": MAX_TOKENS})

Made = tuple[Any, dict[str, Any]]
BUILDERS: Mapping[str, tuple[Callable[[], Any], Mapping[str, Any]]] = MappingProxyType(
    {
        "WanPipeline": (tiny_video.wan, STEPS | SMALL | T5),
        "LTXPipeline": (tiny_video.ltx, STEPS | SMALL | T5 | {"height": 128, "width": 128}),
        "CogVideoXPipeline": (tiny_video.cogvideox, STEPS | SMALL | T5),
        "AnimateDiffPipeline": (tiny_video.animatediff, STEPS | SMALL | {"num_frames": 16}),
        "MochiPipeline": (tiny_video.mochi, STEPS | SMALL | T5 | {"num_frames": 19}),
        "StableAudioPipeline": (tiny_audio.stable_audio, STEPS | {"audio_end_in_s": 2.0}),
        "StableAudio3Pipeline": (tiny_audio.stable_audio_3, STEPS | {"duration": 2.0, "guidance_scale": 5.0}),
        "AudioLDM2Pipeline": (tiny_audio.audioldm2, STEPS | {"audio_length_in_s": 2.0}),
        "AudioLDMPipeline": (tiny_audio.audioldm, STEPS | {"audio_length_in_s": 2.0}),
        "LongCatAudioDiTPipeline": (tiny_audio.longcat, STEPS | {"audio_duration_s": 2.0}),
    }
)


def make_tiny(class_name: str) -> Made:
    """Build the small untrained pipeline of a class of diffusers, frozen, and the arguments that it is called with.

    The arguments ask for about two seconds in four steps; they lack the prompt.

    Raises:
        UsageError: There is no small pipeline of this class.
    """
    if class_name not in BUILDERS:
        raise UsageError(f"There is no small {class_name}.", f"one of {', '.join(BUILDERS)}")
    build, call = BUILDERS[class_name]
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(class_name.encode()))
        pipeline = build()
    pipeline.set_progress_bar_config(disable=True)
    for name, part in pipeline.components.items():
        if isinstance(part, nn.Module):
            _wake(part.eval().requires_grad_(False), name)
    return pipeline, dict(call)


TINY: Mapping[str, Callable[[], Made]] = MappingProxyType({name: partial(make_tiny, name) for name in BUILDERS})


@contextmanager
def quiet() -> Iterator[None]:
    """Mute warnings of diffusers and transformers, and Python's, inside the block only."""
    logs = diffusers.utils.logging, transformers.utils.logging
    before = [log.get_verbosity() for log in logs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for log in logs:
                log.set_verbosity_error()
            yield
        finally:
            for log, verbosity in zip(logs, before, strict=True):
                log.set_verbosity(verbosity)


def _wake(network: nn.Module, salt: str) -> None:
    """Fill matrices that start as zeros, or nearly so: they would hide the prompt, the time or the latents."""
    for key, weight in network.named_parameters():
        if weight.ndim > 1 and weight.abs().max() < 1e-3:
            values = torch.from_numpy(random_array(key, tuple(weight.shape), salt))
            weight.copy_(values / weight[0].numel() ** 0.5)
