"""Joint guidance of two models at noise levels of their own, whatever they predict: p_hat = p + gain grad h.

`JointPredictor` is the same for two epsilon models on schedules of one T. Here either half has a `Level` of its own, as
its own sampler or a pipeline's loop gives it, and the discriminator is told both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmbench.mmdisco.alignment import Alignment
from mmbench.mmdisco.guidance import Guidance, KeptGradient
from mmbench.mmdisco.levels import Level, LevelSchedule
from mmbench.mmdisco.losses import Pair, Times

Corrections = tuple[Tensor | None, Tensor | None]  # what is added to either prediction; None adds nothing


@dataclass(frozen=True, eq=False)
class JointGuide:
    """Gives what a discriminator adds to what two models predict. One serves one run of a sampler at a time.

    Args:
        guidance: The discriminator, or an embedding, and how to use it.
        schedules: Of video and audio, as the discriminator was trained on them: where a level has its timestep.
        free_scale: Classifier-free weights of video and audio, for a discriminator that reads text; None for none.
        kept: The gradient that is used again; a run starts anew at evaluation 0.
    """

    guidance: Guidance | Alignment
    schedules: tuple[LevelSchedule, LevelSchedule]
    free_scale: tuple[float, float] | None = None
    kept: KeptGradient = field(default_factory=KeptGradient, repr=False)

    def corrections(self, latents: Pair, levels: tuple[Level, Level], step: int, predictions: Pair) -> Corrections:
        """What is added to the predictions of n pairs: gain s grad_{x_t} h, float32 (float64 stays).

        The gradient is taken by x_t / c, what the discriminator sees; a half without signal is not guided.

        Args:
            latents: (n, ...) x_t of video and audio, each at its model's own scale.
            levels: Where they are.
            step: Evaluation of the sampler, counted from 0.
            predictions: What the models predict there; an embedding looks at the clean latents that they say.
        """
        if not any(level.guidable for level in levels):
            if step == 0:
                self.kept.pair = None
            return None, None
        seen = latents[0] / levels[0].scale, latents[1] / levels[1].scale
        gradient = self.kept.at(step, self.guidance, lambda: self._gradient(seen, levels, predictions))
        if gradient is None:
            return None, None
        video, audio = (
            level.gain * scale / level.scale * grad if level.guidable else None
            for grad, level, scale in zip(gradient, levels, self.guidance.scale, strict=True)
        )
        return video, audio

    def _gradient(self, seen: Pair, levels: tuple[Level, Level], predictions: Pair) -> Pair:
        """By x_t / c of both halves."""
        if isinstance(self.guidance, Guidance):
            return self.guidance.free_gradient(*seen, self._times(levels, seen[0]), self.free_scale)

        def clean(noised: Pair) -> Pair:
            x_0, y_0 = (
                level.split(level.scale * z, p)[0] for level, z, p in zip(levels, noised, predictions, strict=True)
            )
            return x_0, y_0

        return self.guidance.gradient(seen, clean)

    def _times(self, levels: tuple[Level, Level], like: Tensor) -> Times:
        """(n,) float timesteps of either half; one tensor where they are equal."""
        places = [schedule.place(level) for schedule, level in zip(self.schedules, levels, strict=True)]
        video, audio = (torch.full((len(like),), place, device=like.device) for place in places)
        return video if places[0] == places[1] else (video, audio)
