"""Pipelines of diffusers that make video and sound together: LTX-2, Kandinsky 6, Cosmos 3.

Any pipeline does whose call takes a prompt and a generator and returns an object with `frames` or `video` and `audio`
or `sound`, one prompt at a time. What the three of diffusers 0.42.1 return with output_type="np":

    LTX2Pipeline                (1, t, h, w, 3)   stereo (1, 2, n), rate vocoder.config.output_sampling_rate
    Kandinsky6TI2VAPipeline     (1, t, h, w, 3)   mono (1, n), rate audio_sample_rate
    Cosmos3OmniPipeline         (t, h, w, 3)      (channels, n), rate sound_tokenizer.config.sampling_rate

Clips are brought to the dataset's format as other people's are. See huggingface/diffusers:src/diffusers/pipelines.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from mmbench.baselines.parts.options import CommonOptions
from mmbench.baselines.parts.sample_rates import sample_rate_of
from mmbench.errors import MediaError, UsageError
from mmbench.files import expand_user
from mmbench.registry import register
from mmbench.types import Clip, Dataset, Request, Spec, Weights
from mmbench.weights import file_digests as digests
from mmbench.weights import locations
from mmbench.weights.folders import loading

VERSION = 1  # raised when the code changes what it draws
FPS = 24.0  # what all three are trained on
GRID = 8  # LTX-2 makes 8 k + 1 frames, the others 4 k + 1


@register("system", "diffusers_joint", "Video and sound by a pipeline of diffusers: --set model=REPO or =FOLDER")
class DiffusersJoint:
    """One pipeline, whatever its model. `--weights random` says that the model's weights are untrained.

    Args:
        dataset: The dataset that is generated for.
        device: auto, cpu, cuda.
        dtype: Precision of the model.
        weights: "real", or "random" for a folder of untrained weights: records then say so.
        model: A repository of the Hugging Face hub, or a folder.
        revision: The repository's commit, 40 hex digits: a branch would name other weights tomorrow.
        fps: Frame rate of the pipeline's video [1/s].
        num_frames: Frames of the pipeline's video; as many as the dataset's duration takes if 0.
        height: Height of the pipeline's frames [px]; its own default if 0. The centre is scaled to the dataset's size.
        width: Width of the frames, likewise.
        num_inference_steps: Steps of the sampler; the pipeline's own default if 0.
        kwargs: JSON object of what else its call takes: kwargs={"guidance_scale": 4.0}.
        offload: Keep on the GPU only the part that is at work.

    Raises:
        UsageError: No model, no commit, or an option that cannot be right.
    """

    name = "diffusers_joint"
    batch_size = 1

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        dtype: str = "float32",
        weights: str = "real",
        model: str = "",
        revision: str = "",
        fps: float = FPS,
        num_frames: int = 0,
        height: int = 0,
        width: int = 0,
        num_inference_steps: int = 0,
        kwargs: Mapping[str, Any] | None = None,
        offload: bool = False,
    ) -> None:
        form = dataset.format
        if not model:
            wanted = "--set model=REPO, or the folder of one"
            raise UsageError("diffusers_joint needs a model.", wanted, "mmbench show diffusers_joint")
        common = CommonOptions.read(self.name, "full", weights, dtype)
        if not (fps > 0 and (kwargs is None or isinstance(kwargs, Mapping))):
            raise UsageError(f"fps={fps} and kwargs={kwargs!r}.", "a rate above 0 and a JSON object")
        folder = expand_user(model)
        if not folder.is_dir() and not re.fullmatch(r"[0-9a-f]{40}", str(revision)):
            found = f"{model} is no folder, so it is a repository, and its revision is {revision!r}."
            raise UsageError(found, "a commit of 40 hex digits, as its page shows", "--set revision=COMMIT")
        if folder.is_dir() and not (folder / "model_index.json").is_file():
            raise UsageError(f"{model} holds no model_index.json.", "a pipeline as save_pretrained writes it")
        self.weights: Weights = common.weights
        self._form, self._device, self._dtype, self._offload = form, device, dtype, offload
        self._model, self._revision, self._folder = model, str(revision), folder if folder.is_dir() else None
        least = math.ceil(Fraction(form.num_frames) / Fraction(form.fps) * Fraction(fps))
        frames = num_frames or math.ceil((least - 1) / GRID) * GRID + 1
        arguments = {"num_frames": frames, "height": height, "width": width, "num_inference_steps": num_inference_steps}
        self._fps, self._arguments = (
            fps,
            {name: value for name, value in arguments.items() if value} | dict(kwargs or {}),
        )

    @cached_property
    def _content(self) -> str:
        """Commit of the repository, or digest of the folder's files."""
        if self._folder is None:
            return self._revision
        cache = digests.DigestCache(locations.home() / "digests.json")
        return digests.digest_of(cache.hashes(self._folder.absolute()))

    def spec(self) -> Spec:
        """Name and content of the model, and the arguments of its call; of a folder only the content."""
        model = {"model": "" if self._folder else self._model, "content": self._content, "dtype": self._dtype}
        return {"system": self.name, "version": VERSION, **model, "fps": self._fps, "call": self._arguments}

    @cached_property
    def _pipeline(self) -> Any:
        """The pipeline on its device; only safetensors are read, so nothing is unpickled."""
        import torch
        from diffusers import DiffusionPipeline

        from mmbench.networks.devices import local_device

        source = self._folder or self._model
        how = {} if self._folder else {"revision": self._revision}
        with loading(source, "a pipeline of diffusers with safetensors, here or to be had"):
            pipeline = DiffusionPipeline.from_pretrained(
                source, dtype=getattr(torch, self._dtype), use_safetensors=True, **how
            )
        pipeline.set_progress_bar_config(disable=True)
        place = local_device(self._device)
        if self._offload and place != "cpu":
            pipeline.enable_model_cpu_offload(device=place)
            return pipeline
        return pipeline.to(place)

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, each made alone; its noise comes from the request's own generator on the CPU."""
        from mmbench.baselines.kinds.pair import generator_of
        from mmbench.media.resample import conform

        pipeline = self._pipeline
        takes = inspect.signature(pipeline.__call__).parameters
        rate_name = "frame_rate" if "frame_rate" in takes else "fps"
        arguments = {rate_name: self._fps, "enable_sound": True, "output_type": "np", **self._arguments}
        given = {name: value for name, value in arguments.items() if name in takes or name in self._arguments}
        for request in requests:
            output = pipeline(prompt=request.prompt.text, generator=generator_of(request, "joint noise"), **given)
            video, audio = frames_of(output), sound_of(output)
            yield conform(Clip.from_float(video, self._fps, audio, sample_rate_of(pipeline)), self._form)


def _array(value: Any) -> np.ndarray:
    """A numpy array of an array, or of a tensor of any precision on any device."""
    return value if isinstance(value, np.ndarray) else value.detach().float().cpu().numpy()


def _only(output: Any, names: Sequence[str]) -> Any:
    found = next((getattr(output, name) for name in names if getattr(output, name, None) is not None), None)
    if found is None:
        raise MediaError(f"The pipeline returned no {names[0]}.", f"an output with {' or '.join(names)}")
    return found


def frames_of(output: Any) -> np.ndarray:
    """(t, h, w, 3) floats in [0, 1] of what a pipeline returned for one prompt."""
    video = _array(_only(output, ("frames", "video")))
    video = video[0] if video.ndim == 5 else video
    if video.ndim != 4 or video.shape[-1] != 3:
        raise MediaError(f"The pipeline returned frames of shape {video.shape}.", "(t, h, w, 3) for one prompt")
    return video


def sound_of(output: Any) -> np.ndarray:
    """(n,) floats, the mean of all channels, of what a pipeline returned for one prompt."""
    audio = _array(_only(output, ("audio", "sound")))
    return audio.reshape(-1, audio.shape[-1]).mean(0, dtype=np.float64)
