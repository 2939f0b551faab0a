"""The embedded pair as two rectified flows with shifts of their own, sampled by Euler steps on their velocities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmbench.baselines.kinds.pair import STREAMS, generator_of
from mmbench.baselines.models.tiny.flow import SCHEDULES, SHIFTS, FlowDenoiser
from mmbench.baselines.models.tiny.pair import TinyPair, network
from mmbench.baselines.models.tiny.refiner import RefinedDenoiser
from mmbench.mmdisco.flow_sampler import FlowEuler, euler_levels
from mmbench.mmdisco.guidance import free, join, twice
from mmbench.mmdisco.joint_guide import JointGuide
from mmbench.mmdisco.losses import JointEpsilon, Pair
from mmbench.mmdisco.samplers import initial_noise
from mmbench.types import Request


class TinyFlowPair(TinyPair):
    """`TinyPair` with flow models: losses and discriminators see x_t / c and the levels of `schedules`."""

    schedules = SCHEDULES

    def make_denoisers(self) -> tuple[Any, Any]:
        """The transformers of `tiny_flow`, that of videos with the refiner of `tiny`, as it is."""
        video, audio = (network(name, self.device, "tiny_flow") for name in ("video_model", "audio_model"))
        refined = RefinedDenoiser(video, network("video_refiner", self.device))
        return FlowDenoiser(refined, SCHEDULES[0]).to(self.device), FlowDenoiser(audio, SCHEDULES[1]).to(self.device)

    @torch.no_grad()
    def velocities(self, latents: Pair, s: tuple[float, float], condition: tuple[Tensor, ...]) -> Pair:
        """What both models predict of (n, *shape) latents x_t at noises s, given texts (n, 32) each."""
        x, y = (
            model.velocity(z, torch.full((len(z),), noise, dtype=torch.float64, device=z.device), text)
            for model, z, noise, text in zip(self.denoisers, latents, s, condition, strict=True)
        )
        return x, y

    def _sample_tile(
        self, requests: Sequence[Request], guidance: Any, epsilon: JointEpsilon | None
    ) -> tuple[Tensor, Tensor]:
        if epsilon is not None:
            raise ValueError("a flow starts at noise alone, of which a predicted noise says nothing")
        condition, empty = self.conditions(requests)
        scale = self.sampling.free_scale

        def velocity(latents: Pair, s: tuple[float, float]) -> Pair:
            if scale is None:
                return self.velocities(latents, s, condition)
            x, y = latents
            return free(self.velocities((twice(x), twice(y)), s, join(empty, condition)), scale)

        steps = self.sampling.num_inference_steps
        levels = euler_levels(steps, SHIFTS[0]), euler_levels(steps, SHIFTS[1])
        guide = None if guidance is None else JointGuide(guidance(condition, empty), self.schedules, scale)
        generators = tuple([generator_of(r, stream) for r in requests] for stream in STREAMS)
        x, y = (
            initial_noise(shape, g, torch.device(self.device)) for shape, g in zip(self.shapes, generators, strict=True)
        )
        return FlowEuler(velocity, levels, guide).sample((x, y))
