"""The embedded systems: `tiny`, a pair of small diffusion models, and `tiny_cascade`, its video with a sound for it."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from mmbench.baselines.pair_system import SHIPPED, DiffusionPair, PairSystem, Sampling
from mmbench.registry import SystemName, register
from mmbench.types import Dataset, Spec

SAMPLING = Sampling(num_inference_steps=25, free_scale=None, joint_scale=(1.0, 1.0))
BATCH_SIZE = 16


@cache
def components() -> Spec:
    """Digest of the shipped weights."""
    return {"tiny": hashlib.sha256((SHIPPED / "tiny.safetensors").read_bytes()).hexdigest()[:32]}


def local_device(device: str) -> str:
    """Where to compute: "auto" is the GPU if there is one."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _system(base: str, cascade: bool, dataset: Dataset, device: str, guidance: SystemName | None = None) -> PairSystem:
    def load() -> DiffusionPair:
        from mmbench.baselines.tiny_pair import TinyCascade, TinyPair

        return (TinyCascade if cascade else TinyPair)(local_device(device), SAMPLING)

    return PairSystem(base, load, components(), "trained", SAMPLING, dataset, guidance, BATCH_SIZE)


@register(
    "system", "tiny", "Embedded pair of small diffusion models, video and audio, trained on bounce.", guidable=True
)
def tiny(*, dataset: Dataset, device: str = "auto", guidance: SystemName | None = None, **_: Any) -> PairSystem:
    """Video and audio of the same prompt that know nothing of each other; with +mmdisco they do."""
    return _system("tiny", False, dataset, device, guidance)


@register("system", "tiny_cascade", "Embedded cascade: the video of tiny, then a small video-to-audio model.")
def tiny_cascade(*, dataset: Dataset, device: str = "auto", **_: Any) -> PairSystem:
    """Text to video to audio, the rival of joint generation."""
    return _system("tiny_cascade", True, dataset, device)
