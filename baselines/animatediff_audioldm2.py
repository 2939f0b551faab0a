"""AnimateDiff (arXiv 2307.04725) and AudioLDM 2 (arXiv 2308.05734)."""

from __future__ import annotations

from mmbench.baselines.models.pipelines.system import DESCRIPTIONS, PipelineSystem
from mmbench.registry import register


@register("system", "animatediff_audioldm2", "AnimateDiff and AudioLDM 2, pipelines of diffusers.", guidable=True)
class AnimateDiffAudioLDM2(PipelineSystem):
    """16 frames at 8 per second of 256 x 256 pixels, and 2 s at 16 kHz, made by two pipelines."""

    file = DESCRIPTIONS / "animatediff_audioldm2.toml"
