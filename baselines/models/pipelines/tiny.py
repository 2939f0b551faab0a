"""Small untrained pipelines of diffusers' own classes, for tests and for trying a pair before its weights are there.

Nothing is downloaded. `mmbench.baselines.models.pipelines.full` has the published sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from mmbench.baselines.models.pipelines import tiny_audio, tiny_video
from mmbench.baselines.models.pipelines.tiny_text import MAX_TOKENS
from mmbench.baselines.models.pipelines.untrained import build_untrained
from mmbench.errors import UsageError

STEPS: MappingProxyType[str, Any] = MappingProxyType({"num_inference_steps": 4})
SMALL: MappingProxyType[str, Any] = MappingProxyType({"height": 32, "width": 32, "num_frames": 17})
T5: MappingProxyType[str, Any] = MappingProxyType({"max_sequence_length": MAX_TOKENS})

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
    return build_untrained(class_name, build), dict(call)


TINY: Mapping[str, Callable[[], Made]] = MappingProxyType({name: partial(make_tiny, name) for name in BUILDERS})
