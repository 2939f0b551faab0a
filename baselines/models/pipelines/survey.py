"""Which pipelines of the installed diffusers can be one half of a pair, and why others cannot.

A half is guided where its loop calls `scheduler.step(prediction, t, latents)`: once in each round of a single loop,
with one noise level for all its latents, and with a prediction that is a score's. Reasons are read from sources; what
a source cannot tell is told by names, and the reason says so.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

from mmbench.baselines.models.pipelines.source import PipelineSource, read_class, read_sources

VIDEO, AUDIO = {"frames", "video", "videos"}, {"audios", "audio", "sound"}
MEDIA = re.compile(r"image|video|audio|^mask$|^conditions$|conditioning_frames")
NOT_MEDIA = re.compile(
    r"^(num|prompt|negative|output|ip_adapter|add|keep|fake)_|_(scale|rescale|strength|rate|min|max|crf)$"
    r"|video_length|audio_(length|duration|start|end|cover)"
)
BY_NAME = re.compile(r"(Image|Video|Audio)(To|2)(Video|Audio|World)|I2V|V2V|Control|Inpaint")
DISTILLED = re.compile(
    r"(distill\w*|turbo|lightning|schnell|lcm|dmd\d?|causvid|self-?forcing|fastwan|anyflow)(?![a-z])", re.IGNORECASE
)
FLOW_MAPS = re.compile(r"FlowMap|(?<![A-Z])DMD|LCM|TCD|Consistency")


@dataclass(frozen=True)
class Surveyed:
    """A pipeline that makes video or sound, and whether it can be one half of a pair.

    Attributes:
        name: Its class.
        makes: "video", "audio" or "video, audio".
        reason: Why it is refused; None if it is not.
        remarks: What to know of one that is not refused.
    """

    name: str
    makes: str
    reason: str | None
    remarks: tuple[str, ...] = ()


def survey() -> list[Surveyed]:
    """Every pipeline of the installed diffusers that makes video or sound, by name."""
    return [_surveyed(source) for source in read_sources() if _makes(source)]


def refusal(pipeline_class: type[Any]) -> str | None:
    """Why a pipeline of this class cannot be one half of a pair; None if it can.

    Args:
        pipeline_class: A pipeline class of diffusers, or any class whose call steps a scheduler as theirs do.
    """
    definer = next((c for c in pipeline_class.__mro__ if "__call__" in vars(c)), None)
    if definer is None:
        return "it cannot be called"
    try:
        text = textwrap.dedent(inspect.getsource(definer))
    except (OSError, TypeError):  # made without a file, or not in Python
        return "its source, by which pipelines are judged, is not here"
    node = ast.parse(text).body[0]
    source = read_class(node, text) if isinstance(node, ast.ClassDef) else None
    if source is None or not _makes(source):
        return "it makes neither video nor sound"
    return _reason(source)


def distilled(name: str) -> str | None:
    """Why a checkpoint, by its name, has no score to guide: it was distilled into fewer steps; None if not so named."""
    found = DISTILLED.search(name)
    if found is None and re.search(r"stable-audio-3-(?!.*base)", name):
        return "Stable Audio 3 is distilled unless its name ends in -base, so it has no score"
    return f"by its name ({found[0]}) it is distilled into few steps, so it has no score" if found else None


def _surveyed(source: PipelineSource) -> Surveyed:
    reason = _reason(source)
    return Surveyed(source.name, ", ".join(_makes(source)), reason, () if reason else tuple(_remarks(source)))


def _makes(source: PipelineSource) -> list[str]:
    video = source.returns & VIDEO or any("Video" in name for name in source.returns)
    return [*(["video"] if video else []), *(["audio"] if source.returns & AUDIO else [])]


def _media(source: PipelineSource) -> list[str]:
    return [a for a in source.arguments if MEDIA.search(a) and not NOT_MEDIA.search(a)]


def _reason(source: PipelineSource) -> str | None:
    """The first thing that keeps a pipeline from being a half; the most telling come first."""
    needed = [a for a in source.required if a != "prompt"]
    if "prompt" not in source.arguments:
        return "it takes no prompt"
    if needed:
        return f"it needs {', '.join(needed)}"
    if len(_makes(source)) == 2:
        return "it makes video and sound in one loop, so they are joined already; use diffusers_joint"
    if (named := BY_NAME.search(source.name)) and (media := _media(source)):
        return f"by its name ({named[0]}) it needs {' or '.join(media)}"
    return _reason_of_loop(source)


def _reason_of_loop(source: PipelineSource) -> str | None:
    steps = source.steps
    if any(s.scheduler != "self.scheduler" for s in steps) or "deepcopy(self.scheduler)" in source.text:
        return "it steps copies of its scheduler, one for each part of its latents"
    if not steps:
        return "it calls no scheduler.step in a loop"
    if any(len([over for over in s.loops if "free_init" not in over]) != 1 for s in steps):
        return "it samples in parts: its steps are not in one loop"
    if FLOW_MAPS.search(source.scheduler):
        return f"its {source.scheduler} steps a flow map or a distilled model, which has no score"
    if any("per_token_timesteps" in s.keywords for s in steps):
        return "it gives every token a time of its own, and hands over its prediction with the sign reversed"
    if source.most_steps > 1 or any("pred_original_sample" in s.keywords for s in steps):
        return "it steps twice in each round, with an estimate of clean latents of its own"
    if any(len(s.arguments) < 3 for s in steps):
        return "it hands its scheduler something else than a prediction, a timestep and latents"
    if any(s.arguments[0].startswith("-") for s in steps):
        return "it hands its prediction over with the sign reversed"
    if "latents" not in source.arguments:
        return "it takes no latents, so its noise cannot be given"
    return None


def _remarks(source: PipelineSource) -> list[str]:
    steps = source.steps
    told = {
        "deprecated by diffusers": "DeprecatedPipelineMixin" in source.text.split(":", 1)[0],
        "steps a slice of its latents": any("[" in s.arguments[-1] for s in steps),
        "steps all frames as one batch": any("latents = latents.permute" in s.round for s in steps),
        "takes two orders of arguments for two schedulers": any(len(s.arguments) > 3 for s in steps),
        "its denoiser may also predict a variance": '"variance_type"' in source.text,
        "predicts through a guider": "self.guider" in source.text,
        "its denoiser reads the guidance scale: its prediction is guided already": "guidance=guidance" in source.text,
        "only checkpoints that are not distilled (not turbo)": source.name == "AceStepPipeline",
        "only checkpoints that are not distilled (-base)": source.name == "StableAudio3Pipeline",
    }
    media = _media(source)
    return [*(remark for remark, holds in told.items() if holds), *([f"{', '.join(media)} left out"] if media else [])]
