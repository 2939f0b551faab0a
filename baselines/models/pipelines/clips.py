"""Between clips of a dataset and what pipelines make: rates and sizes, changed by the explicit resampler's rules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from mmbench.baselines.models.pipelines.encoders import encode_audio, encode_video
from mmbench.baselines.models.pipelines.model import PipelineModel
from mmbench.baselines.models.pipelines.rates import sound_grid
from mmbench.baselines.models.pipelines.text_guidance import argument_of
from mmbench.errors import UsageError
from mmbench.media.resample import conform, exact_rate, resample_video, resize
from mmbench.types import Clip, ClipFormat


def to_clip(video: Any, audio: Any, fps: float, sample_rate: int, form: ClipFormat) -> Clip:
    """The clip of what two pipelines returned for one prompt, cut to a format; each step is in its notes.

    Args:
        video: What the video's pipeline returned, with output_type="np": frames (1, t, h, w, 3) in [0, 1].
        audio: What the sound's returned, of any number of channels, whose mean is taken.
        fps: Frames per second of the former.
        sample_rate: Samples per second of the latter.
        form: The dataset's.
    """
    frames, sound = np.asarray(video.frames)[0], np.asarray(audio.audios, np.float64)
    wave = sound.reshape(-1, sound.shape[-1]).mean(0)
    return conform(Clip.from_float(frames, fps, wave, sample_rate), form)


def encode_clip(clip: Clip, video: PipelineModel, audio: PipelineModel) -> tuple[Tensor, Tensor]:
    """Clean latents of a real clip in either pipeline's own layout, float32 on the CPU, without the batch.

    The video is brought to the pipeline's rate and size. Where its last picture is on screen up to the end of the
    pipeline's last frame, that shows it, too; autoencoders take one frame more than a round number.

    Raises:
        UsageError: The clip is shorter than what the pipelines make, or an autoencoder is not known.
    """
    num_frames, height, width = (_argument(video, name) for name in ("num_frames", "height", "width"))
    moving = resize(resample_video(clip, exact_rate(video.rate)), height, width).video
    lacking = num_frames - len(moving)
    held = math.ceil(exact_rate(video.rate) / exact_rate(clip.fps))  # of the pipeline's frames, by one of the clip's
    if lacking > held:
        found = f"A clip of {clip.size()} has {len(moving)} frames at {video.rate:g} 1/s."
        seconds = len(clip.video) / float(clip.fps)
        wanted = f"{num_frames}, as the pipeline makes"
        raise UsageError(found, wanted, f"a smaller num_frames in its call, or fps = {num_frames / seconds:g}")
    frames = np.concatenate([moving[:num_frames], np.repeat(moving[-1:], max(lacking, 0), 0)])
    latents = encode_video(video.pipe, frames), encode_audio(audio.pipe, clip.audio, clip.sample_rate)
    wanted = f"a call for the {len(clip.video) / float(clip.fps):g} s of the dataset's clips"
    for z, model in zip(latents, (video, audio), strict=True):
        if tuple(z.shape) != model.shape:
            found = f"{type(model.pipe).__name__} makes latents {model.shape}; those of a clip are {tuple(z.shape)}."
            raise UsageError(found, wanted, "see docs/pairs.md")
    if audio.view.stop is not None:  # a pipeline whose latents have one length whatever it is asked for
        rate, samples = sound_grid(audio.pipe)
        steps = math.ceil(len(clip.audio) / clip.sample_rate * rate / samples)
        if steps != audio.view.stop - audio.view.start:
            found = f"{audio.view.stop - audio.view.start} steps of sound are seen, and those of a clip are {steps}."
            raise UsageError(found, wanted, "see docs/pairs.md")
    return latents


def _argument(model: PipelineModel, name: str) -> int:
    """An argument of a pipeline's call that must have a number."""
    value = argument_of(model.pipe, model.call, name)
    if not isinstance(value, int):
        found = f"The call of {type(model.pipe).__name__} leaves {name} open."
        raise UsageError(found, f"call = {{{name} = …}} in its table, so that real clips can be brought to it", "")
    return value
