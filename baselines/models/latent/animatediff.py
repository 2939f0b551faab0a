"""AnimateDiff (arXiv 2307.04725) v1.5.2 on Realistic Vision 5.1: text to video, on diffusers' UNetMotionModel.

Sizes: guoyww/animatediff-motion-adapter-v1-5-2@6167b88, SG161222/Realistic_Vision_V5.1_noVAE@305469d.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel, UNetMotionModel
from diffusers.utils import logging
from torch import Tensor
from transformers import CLIPTextModel

from mmbench.baselines.parts import stable_diffusion as sd
from mmbench.baselines.parts.loading import Parts
from mmbench.mmdisco.schedule import NoiseSchedule
from mmbench.networks.clip_tokens import clip_tokens

NUM_FRAMES, SIDE = 16, 256
PAD = 49407  # the end of a text also follows it, as in Stable Diffusion's tokenizer
ADAPTER: Mapping[str, Any] = {"use_motion_mid_block": True, "motion_max_seq_length": 32}
TINY_ADAPTER: Mapping[str, Any] = {
    "block_out_channels": (4, 8),
    "motion_layers_per_block": 1,
    "motion_num_attention_heads": 2,
    "motion_norm_num_groups": 4,
}


class AnimateDiff:
    """Video latents (4, 16, 32, 32) of 16 frames of 256 x 256; conditions are CLIP states (77, 768).

    Args:
        parts: Where everything but motion comes from: a Stable Diffusion 1.5.
        motion_parts: Where motion comes from.
    """

    schedule = NoiseSchedule("scaled_linear", 0.00085, 0.012)
    shape = (4, NUM_FRAMES, SIDE // 8, SIDE // 8)

    def __init__(self, parts: Parts, motion_parts: Parts) -> None:
        motion = motion_parts.build(MotionAdapter, ADAPTER, TINY_ADAPTER)
        still = parts.build(UNet2DConditionModel, sd.UNET, sd.TINY["unet"], "unet")
        self.unet = parts.denoiser(animate(still, motion))
        self.vae = parts.build(AutoencoderKL, sd.VAE, sd.TINY["vae"], "vae")
        self.text_encoder = parts.build(CLIPTextModel, sd.TEXT, sd.TINY["text_encoder"], "text_encoder")
        self.tokens = clip_tokens(parts.folder and parts.folder / "tokenizer")
        self.text_channels: int = self.unet.config.cross_attention_dim

    def text(self, prompt: str) -> Tensor:
        """(77, 768) float32 on the CPU."""
        return sd.padded_states(self.text_encoder, self.tokens, prompt, PAD)

    def unconditional(self) -> Tensor:
        """Text states of the empty prompt."""
        return self.text("")

    def epsilon(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Predicted noise of (n, 4, 16, 32, 32) latents; every frame gets the text."""
        dtype = self.unet.dtype
        return self.unet(x_t.to(dtype), t, text.to(dtype).repeat_interleave(x_t.shape[2], 0)).sample

    def decode(self, latents: Tensor) -> np.ndarray:
        """(n, 16, 256, 256, 3) float32 in [0, 1]."""
        return sd.decode_video(self.vae, latents)

    def encode(self, video: np.ndarray) -> Tensor:
        """(4, 16, 32, 32) float32 on the CPU of (16, 256, 256, 3) uint8."""
        return sd.encode_video(self.vae, video)


def animate(still: Any, motion: Any) -> Any:
    """A U-Net of still pictures with motion layers; a warning of diffusers about casting, of no module, is muted."""
    before = logging.get_verbosity()
    try:
        logging.set_verbosity_error()
        return UNetMotionModel.from_unet2d(still, motion)
    finally:
        logging.set_verbosity(before)
