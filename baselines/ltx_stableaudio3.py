"""LTX-Video (arXiv 2501.00103) and Stable Audio 3."""

from __future__ import annotations

from mmbench.baselines.models.pipelines.system import DESCRIPTIONS, PipelineSystem
from mmbench.registry import register


@register("system", "ltx_stableaudio3", "LTX-Video 0.9 and Stable Audio 3, pipelines of diffusers.", guidable=True)
class LTXStableAudio3(PipelineSystem):
    """49 frames at 24 per second of 704 x 512 pixels, and 2 s of stereo at 44.1 kHz, made by two pipelines."""

    file = DESCRIPTIONS / "ltx_stableaudio3.toml"
