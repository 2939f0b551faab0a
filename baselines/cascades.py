"""Cascades of arXiv 2405.17842, Tables 3, 4 and 13, on the videos of its pairs; and the halves of the pairs swapped."""

from __future__ import annotations

from mmbench.baselines.kinds.cascade import RegisteredCascade, RegisteredHalves
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


@register("system", "auffusion_animatediff", "The videos of audioldm_animatediff beside the sounds of auffusion_vc2")
class AuffusionAnimateDiff(RegisteredHalves):
    """Auffusion and AnimateDiff, which know nothing of each other."""

    base, video, audio = "auffusion_animatediff", ANIMATEDIFF, VIDEOCRAFTER2


@register("system", "audioldm_vc2", "The videos of auffusion_vc2 beside the sounds of audioldm_animatediff")
class AudioLDMVideoCrafter2(RegisteredHalves):
    """AudioLDM and VideoCrafter2, which know nothing of each other."""

    base, video, audio = "audioldm_vc2", VIDEOCRAFTER2, ANIMATEDIFF
