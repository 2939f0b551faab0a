"""Times batches of generated pairs: texts, sampling with and without guidance, decoding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from mmbench.baselines.kinds.pair import GuidableSystem
from mmbench.errors import MMBenchError
from mmbench.experiments.profiling.stopwatch import Arm, Lap, Stopwatch, time_arms
from mmbench.types import Request

PROMPT = "a dog barks at the sea"


def time_inference(system: Any, requests: Sequence[Request], runs: int, watch: Stopwatch, warm_up: float = 0.0) -> None:
    """Times batches: `sample` and `sample guided` to clean latents, `decode` to clips; `generate` of what is no pair.

    Texts are encoded in an interval of their own, `texts`, and kept for sampling.

    Raises:
        MMBenchError: Too few clips came, or guidance changed nothing.
    """
    guided = isinstance(system, GuidableSystem) and system.guided
    time_arms(_of_pair(system, requests) if guided else _of_system(system, requests), runs, watch, warm_up)


def _of_system(system: Any, requests: Sequence[Request]) -> dict[str, Arm]:
    def generate(lap: Lap) -> None:
        clips = list(system.generate(requests))
        lap("generate")
        _require_all(clips, requests)

    return {"generate": generate}


def _of_pair(system: Any, requests: Sequence[Request]) -> dict[str, Arm]:
    import torch

    pair, made, numbers = system.pair(), dict[str, Any](), count()

    def texts(lap: Lap) -> None:
        pair.texts([f"{PROMPT}, {next(numbers)}" for _ in requests])  # none of them was encoded before
        lap("texts")

    def alone(lap: Lap) -> None:
        made["alone"] = pair.sample(requests)
        lap("sample")

    def guided(lap: Lap) -> None:
        latents = pair.sample(requests, system.guide)
        lap("sample guided")
        both = (*made.get("alone", ()), *latents)
        if not all(z.isfinite().all() for z in both) or all(map(torch.equal, made.get("alone", (None,)), latents)):
            raise MMBenchError("Guidance changed nothing, or a latent is not finite.", "two different samples")
        made.setdefault("latents", latents)

    def decode(lap: Lap) -> None:
        clips = pair.decode(*(made["alone"] if "alone" in made else made["latents"]), requests)
        lap("decode")
        _require_all(clips, requests)

    arms: dict[str, Arm] = {"sample": alone, "sample guided": guided, "decode": decode}
    return {"texts": texts, **arms} if pair.unconditional else arms


def _require_all(clips: Sequence[Any], requests: Sequence[Request]) -> None:
    if len(clips) != len(requests):
        raise MMBenchError(f"{len(clips)} clips were made.", f"{len(requests)}")
