"""One frozen pipeline of diffusers as a base model, as a black box: its latents, levels, predictions, texts, clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from mmbench.baselines.models.pipelines.text_guidance import guider_off, scale_of, unguided_call
from mmbench.baselines.models.pipelines.texts import PromptStates, prompt_of
from mmbench.baselines.models.pipelines.views import View, view_of
from mmbench.baselines.parts.sample_rates import sample_rate_of
from mmbench.errors import MMBenchError
from mmbench.mmdisco.black_box import Denoiser, decode, first_latents
from mmbench.mmdisco.course import Half
from mmbench.mmdisco.levels import LevelSchedule
from mmbench.mmdisco.scheduler_check import follows
from mmbench.runs.exhausted import is_out_of_memory

NUM_LEVELS = 1000  # timesteps that a discriminator is trained at, on the pipeline's own grid
TEXTS_KEPT = 512  # prompts whose mean states stay in memory


class PipelineModel:
    """A text-to-video or text-to-audio pipeline and the arguments of its call.

    Args:
        pipe: The pipeline.
        call: Arguments of its call, without a prompt.
        view: What the view of its latents has otherwise than `views.view_of` makes it.
        rate: Frames or samples per second; 0 for what the pipeline says.

    Attributes:
        schedule: Its noise levels, which a discriminator is trained at.
        shape: Of its latents, without the batch.
        view: What a discriminator sees of them.
        guidance_scale: Of its classifier-free guidance; 1.0 for none.
    """

    def __init__(self, pipe: Any, call: Mapping[str, Any], view: Mapping[str, Any], rate: float) -> None:
        self.pipe, self.call = pipe, {**call, "return_dict": True}
        self.guidance_scale = scale_of(pipe, call)
        self._unguided = unguided_call(pipe, self.call)
        self.rate = rate or sample_rate_of(pipe)
        self._states = PromptStates(pipe, self._unguided)
        self.text = lru_cache(TEXTS_KEPT)(self._read)
        half = Half(pipe, self._unguided)
        self._like = self._called(half)
        self.shape = tuple(self._like.shape[1:])
        self.view = View(**view) if "layout" in view else replace(view_of(pipe, self.shape, call), **view)
        with guider_off(pipe):
            self.denoiser = Denoiser(half, NUM_LEVELS, prompt="")
        self.schedule = LevelSchedule(self.denoiser.levels, type(pipe.scheduler).__name__)

    def _called(self, half: Half) -> Tensor:
        """The noise that the loop of a call starts with; raises MMBenchError with what the pipeline says against it."""
        try:
            return first_latents(half, prompt="")
        except MMBenchError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            own = ", ".join(f"{key} = {value!r}" for key, value in self.call.items() if key != "return_dict")
            found = f"{type(self.pipe).__name__} fails when called with {own}: {type(error).__name__}: {error}"
            raise MMBenchError(found, "a call that it can make", "other arguments in call in its table") from error

    def _read(self, prompt: str) -> Tensor:
        """The text of a prompt (`texts`), which `text` keeps."""
        with guider_off(self.pipe):
            return self._states.text(prompt)

    def describe(self) -> str:
        """Class, scheduler with its deviation from the levels read, networks and what they weigh, in one line."""
        parts = {n: p for n, p in self.pipe.components.items() if isinstance(p, torch.nn.Module)}
        sizes = {name: sum(weight.numel() for weight in part.parameters()) for name, part in parts.items()}
        bytes_ = sum(w.numel() * w.element_size() for part in parts.values() for w in part.parameters())
        networks = ", ".join(f"{name} {size / 1e6:.3g} M" for name, size in sizes.items())
        scheduler = self.pipe.scheduler
        kept = f"{type(scheduler).__name__} keeps to its levels within {follows(scheduler):.1g}"
        return f"{type(self.pipe).__name__}; {kept}; {networks}; {bytes_ / 1e9:.3g} GB"

    def epsilon(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Predicted noise of (n, *shape) latents of preserved variance at integer timesteps t (n,), one call each."""
        rows = zip(x_t, t.tolist(), text, strict=True)
        return torch.stack([self._noise(z, i, prompt_of(row)) for z, i, row in rows])

    def _noise(self, z: Tensor, t: int, prompt: str) -> Tensor:
        level = self.denoiser.levels[t]
        x_t = (level.scale * z[None].float()).to(self._like)  # in the pipeline's own precision
        with guider_off(self.pipe):
            predicted = self.denoiser(x_t, t, prompt=prompt)
        return level.noise(x_t.float(), predicted.float())[0]

    def half(self, prompt: str, generator: torch.Generator) -> Half:
        """The call that generates latents of a prompt, from noise of `generator`, as whatever its scheduler draws."""
        noise = torch.randn(1, *self.shape, generator=generator).to(self._like)
        return Half(self.pipe, {**self.call, "prompt": prompt, "latents": noise, "generator": generator})

    def leave_gpu(self) -> None:
        """Move what `enable_model_cpu_offload` of diffusers has on the GPU back to the CPU; it returns when called."""
        for hook in getattr(self.pipe, "_all_hooks", ()):
            hook.offload()

    def decode(self, latents: Tensor, prompt: str, generator: torch.Generator) -> Any:
        """What the pipeline makes of clean latents (1, *shape); some add noise of `generator` before they decode."""
        half = Half(self.pipe, {**self._unguided, "output_type": "np"})
        return decode(half, latents.to(self._like), prompt=prompt, generator=generator)
