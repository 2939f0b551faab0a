"""AudioLDM and AnimateDiff on Realistic Vision as one pair (arXiv 2405.17842, 4.3), alone or guided by MMDisCo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmbench.baselines.latent_system import LatentSystem
from mmbench.baselines.pair_system import DiffusionPair
from mmbench.registry import register


@register("system", "audioldm_animatediff", "AudioLDM and AnimateDiff: 16 frames of 256x256 with sound", guidable=True)
class AudioLDMAnimateDiff(LatentSystem):
    """Text guidance 7.5 on video and 2.5 on audio, joint scale 1 on both."""

    base = "audioldm_animatediff"
    models = ("audioldm", "realistic_vision", "animatediff")
    guided_by_text = (7.5, 2.5)
    guided_by_joint = (1.0, 1.0)
    released_discriminator = "mmdisco_audioldm_animatediff"

    def load(self, parts: Mapping[str, Any], as_released: bool, settings: Mapping[str, Any]) -> DiffusionPair:
        """The pair; the release differs in its sampling alone."""
        from mmbench.baselines.animatediff import AnimateDiff
        from mmbench.baselines.audioldm import AudioLDM
        from mmbench.baselines.latent_pair import LatentPair, Layout

        video, audio = AnimateDiff(parts["realistic_vision"], parts["animatediff"]), AudioLDM(parts["audioldm"])
        layout = Layout(audio_channels=8, audio_size=(50, 16), audio_mel_first=False, released="res_mlp")
        return LatentPair(video, audio, layout, **settings)
