"""AudioLDM and AnimateDiff on Realistic Vision as one pair (arXiv 2405.17842, 4.3), alone or guided by MMDisCo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmbench.baselines.models.latent.system import LatentSystem
from mmbench.registry import register

if TYPE_CHECKING:
    from mmbench.baselines.models.latent.pair import Layout


@register("system", "audioldm_animatediff", "AudioLDM and AnimateDiff: 16 frames of 256x256 with sound", guidable=True)
class AudioLDMAnimateDiff(LatentSystem):
    """The pair with text guidance 7.5 on video and 2.5 on audio, joint scale 1 on both."""

    base = "audioldm_animatediff"
    video_models, audio_models = ("realistic_vision", "animatediff"), ("audioldm",)
    free_scale = (7.5, 2.5)
    joint_scale = (1.0, 1.0)
    released_discriminator, released_design = "mmdisco_audioldm_animatediff", "res_mlp"

    def load_video(self, parts: Mapping[str, Any], as_released: bool) -> Any:
        """Load AnimateDiff; the release differs in its sampling alone."""
        from mmbench.baselines.models.latent.animatediff import AnimateDiff

        return AnimateDiff(parts["realistic_vision"], parts["animatediff"])

    def load_audio(self, parts: Mapping[str, Any], as_released: bool) -> Any:
        """Load AudioLDM."""
        from mmbench.baselines.models.latent.audioldm import AudioLDM

        return AudioLDM(parts["audioldm"])

    def layout(self) -> Layout:
        """The layout of sound latents of 8 channels, time first."""
        from mmbench.baselines.models.latent.pair import Layout

        return Layout(audio_channels=8, audio_size=(50, 16), audio_mel_first=False, released=self.released_design)
