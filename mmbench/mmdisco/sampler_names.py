"""Names of the samplers of pairs that step with diffusers' schedulers; known without loading them."""

from __future__ import annotations

from typing import Literal, get_args

SchedulerName = Literal["dpmsolver++2m", "sde-dpmsolver++2m", "ddpm", "ddim"]  # the middle two add noise as they go
SCHEDULER_NAMES: tuple[SchedulerName, ...] = get_args(SchedulerName)
