"""Auffusion and VideoCrafter2 as one pair (arXiv 2405.17842, 4.3), alone or guided by MMDisCo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmbench.baselines.models.latent.system import LatentSystem
from mmbench.registry import register

if TYPE_CHECKING:
    from mmbench.baselines.models.latent.pair import Layout


@register("system", "auffusion_vc2", "Auffusion and VideoCrafter2: 16 frames of 256x256 with sound", guidable=True)
class AuffusionVideoCrafter2(LatentSystem):
    """The pair with text guidance 8 on both, joint scale 8 on video and 1 on audio."""

    base = "auffusion_vc2"
    video_models, audio_models = ("videocrafter2", "clip_bpe"), ("auffusion",)
    free_scale = (8.0, 8.0)
    joint_scale = (8.0, 1.0)
    released_discriminator, released_design = "mmdisco_auffusion_vc2", "res_naive"

    def load_video(self, parts: Mapping[str, Any], as_released: bool) -> Any:
        """Load VideoCrafter2; the release samples it on another schedule."""
        from mmbench.baselines.models.latent.videocrafter2 import VideoCrafter2
        from mmbench.baselines.models.latent.videocrafter2_sampling import NATIVE, RELEASED_MMDISCO

        return VideoCrafter2(parts["videocrafter2"], RELEASED_MMDISCO if as_released else NATIVE)

    def load_audio(self, parts: Mapping[str, Any], as_released: bool) -> Any:
        """Load Auffusion; the release noises its silence afresh at every step."""
        from mmbench.baselines.models.latent.auffusion import Auffusion

        return Auffusion(parts["auffusion"], fresh_noise=as_released)

    def layout(self) -> Layout:
        """The layout of sound latents of 4 channels, mel first."""
        from mmbench.baselines.models.latent.pair import Layout

        return Layout(audio_channels=4, audio_size=(25, 32), audio_mel_first=True, released=self.released_design)
