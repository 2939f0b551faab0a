"""CogVideoX (arXiv 2408.06072) and AudioLDM 2 (arXiv 2308.05734)."""

from __future__ import annotations

from mmbench.baselines.models.pipelines.system import DESCRIPTIONS, PipelineSystem
from mmbench.registry import register


@register("system", "cogvideox_audioldm2", "CogVideoX-2b and AudioLDM 2, pipelines of diffusers.", guidable=True)
class CogVideoXAudioLDM2(PipelineSystem):
    """17 frames at 8 per second of 720 x 480 pixels, and 2 s at 16 kHz, made by two pipelines."""

    file = DESCRIPTIONS / "cogvideox_audioldm2.toml"
