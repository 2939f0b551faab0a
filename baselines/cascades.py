"""Cascades of arXiv 2405.17842, Tables 3, 4 and 13, on the videos of its pairs; and video and sound of two pairs."""

from __future__ import annotations

from mmbench.baselines.kinds.cascade import RegisteredCascade, RegisteredSources
from mmbench.registry import register

ANIMATEDIFF, VIDEOCRAFTER2 = "audioldm_animatediff", "auffusion_vc2"
SPECVQGAN, DIFF_FOLEY = (
    "mmbench.baselines.models.specvqgan.sound:SpecVQGAN",
    "mmbench.baselines.models.difffoley.sound:DiffFoley",
)


@register("system", "animatediff_specvqgan", "Cascade: the videos of audioldm_animatediff, then SpecVQGAN")
class AnimateDiffSpecVQGAN(RegisteredCascade):
    """AnimateDiff, then SpecVQGAN."""

    base, video, audio = "animatediff_specvqgan", ANIMATEDIFF, SPECVQGAN


@register("system", "vc2_specvqgan", "Cascade: the videos of auffusion_vc2, then SpecVQGAN")
class VideoCrafter2SpecVQGAN(RegisteredCascade):
    """VideoCrafter2, then SpecVQGAN."""

    base, video, audio = "vc2_specvqgan", VIDEOCRAFTER2, SPECVQGAN


@register("system", "animatediff_difffoley", "Cascade: the videos of audioldm_animatediff, then Diff-Foley")
class AnimateDiffDiffFoley(RegisteredCascade):
    """AnimateDiff, then Diff-Foley."""

    base, video, audio = "animatediff_difffoley", ANIMATEDIFF, DIFF_FOLEY


@register("system", "vc2_difffoley", "Cascade: the videos of auffusion_vc2, then Diff-Foley")
class VideoCrafter2DiffFoley(RegisteredCascade):
    """VideoCrafter2, then Diff-Foley."""

    base, video, audio = "vc2_difffoley", VIDEOCRAFTER2, DIFF_FOLEY


@register(
    "system", "auffusion_animatediff", "Videos of audioldm_animatediff, sounds of auffusion_vc2, made independently"
)
class AuffusionAnimateDiff(RegisteredSources):
    """AnimateDiff for the video and Auffusion for the sound, each ignorant of the other."""

    base, video, audio = "auffusion_animatediff", ANIMATEDIFF, VIDEOCRAFTER2


@register("system", "audioldm_vc2", "Videos of auffusion_vc2, sounds of audioldm_animatediff, made independently")
class AudioLDMVideoCrafter2(RegisteredSources):
    """VideoCrafter2 for the video and AudioLDM for the sound, each ignorant of the other."""

    base, video, audio = "audioldm_vc2", VIDEOCRAFTER2, ANIMATEDIFF
