"""Wan 2.1 (arXiv 2503.20314) and Stable Audio Open 1.0 (arXiv 2407.14358)."""

from __future__ import annotations

from mmbench.baselines.models.pipelines.system import DESCRIPTIONS, PipelineSystem
from mmbench.registry import register


@register("system", "wan_stableaudio", "Wan 2.1 1.3B and Stable Audio Open, pipelines of diffusers.", guidable=True)
class WanStableAudio(PipelineSystem):
    """33 frames at 16 per second of 832 x 480 pixels, and 2 s of stereo at 44.1 kHz, made by two pipelines."""

    file = DESCRIPTIONS / "wan_stableaudio.toml"
