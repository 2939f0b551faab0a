"""VideoCrafter2 as a text-to-video model: 16 frames of 256 x 256 at 8 frames per second."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet3DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from mmbench.baselines.models.latent import videocrafter2_names as vc2
from mmbench.baselines.models.latent.videocrafter2_sampling import NATIVE
from mmbench.baselines.parts import stable_diffusion as sd
from mmbench.baselines.parts.autoencoder_names import autoencoder_config, load_autoencoder
from mmbench.baselines.parts.loading import Parts
from mmbench.mmdisco.losses import per_sample
from mmbench.mmdisco.schedule import NoiseSchedule, ScaledNoiseSchedule
from mmbench.networks.clip_tokens import ClipTokenizer
from mmbench.weights import checkpoints as published

FPS = 8
TINY_UNET = {
    "block_out_channels": (4, 8),
    "down_block_types": ("DownBlock3D", "CrossAttnDownBlock3D"),
    "up_block_types": ("CrossAttnUpBlock3D", "UpBlock3D"),
    "layers_per_block": 1,
    "cross_attention_dim": sd.TINY_WIDTH,
    "attention_head_dim": 4,
    "norm_num_groups": 4,
}


class VideoCrafter2:
    """Video latents (4, 16, 32, 32); conditions are OpenCLIP states (77, 1024).

    Args:
        parts: Where it comes from and where it goes.
        schedule: Its own; another one is what the released MMDisCo samples it with.
    """

    shape = (4, 16, 32, 32)

    def __init__(self, parts: Parts, schedule: NoiseSchedule = NATIVE) -> None:
        self.schedule = schedule
        self.magnitude = schedule.magnitude.to(parts.device) if isinstance(schedule, ScaledNoiseSchedule) else None
        unet_config, text_config = vc2.unet_config(vc2.UNET), vc2.text_config(vc2.TEXT)
        vae_config = autoencoder_config(vc2.AUTOENCODER, 4)
        unet: Any
        vae: Any
        if parts.weights == "real":
            with torch.device("meta"):  # these get every tensor from the checkpoint, without a copy
                unet, vae = UNet3DConditionModel(**unet_config), AutoencoderKL(**vae_config)
            encoder = CLIPTextModel(CLIPTextConfig(**text_config))
            unet_state, vae_state, text_state = vc2.split(published.load_state_dict(parts.name))
            vc2.load_unet(unet, unet_state, FPS)
            load_autoencoder(vae, vae_state)
            vc2.load_text(encoder, text_state)
        else:
            unet = parts.new(UNet3DConditionModel, unet_config, TINY_UNET, "unet")
            vae = parts.new(AutoencoderKL, vae_config, sd.TINY["vae"], "vae")
            encoder = parts.new(CLIPTextModel, text_config, sd.TINY["text_encoder"], "text_encoder")
        self.unet, self.vae, self.text_encoder = parts.denoiser(unet), parts.place(vae), parts.place(encoder)
        self.tokenizer = ClipTokenizer(published.verify("clip_bpe").path if parts.weights == "real" else None)
        self.text_channels: int = self.unet.config.cross_attention_dim

    @torch.inference_mode()
    def text(self, prompt: str) -> Tensor:
        """(77, 1024) float32 on the CPU; tokens behind the end are 0 and count."""
        ids = torch.from_numpy(self.tokenizer([prompt])).to(self.text_encoder.device)
        return self.text_encoder(ids).last_hidden_state[0].float().cpu().clone()

    def unconditional(self) -> Tensor:
        """Text states of the empty prompt."""
        return self.text("")

    def epsilon(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Predicted noise of (n, 4, 16, 32, 32) variance-preserving latents, which the network wants scaled."""
        dtype = self.unet.dtype
        x = x_t if self.magnitude is None else per_sample(self.magnitude[t], x_t) * x_t
        return self.unet(x.to(dtype), t, text.to(dtype)).sample

    def decode(self, latents: Tensor) -> np.ndarray:
        """(n, 16, 256, 256, 3) float32 in [0, 1]."""
        return sd.decode_video(self.vae, latents)

    def encode(self, video: np.ndarray) -> Tensor:
        """(4, 16, 32, 32) float32 on the CPU of (16, 256, 256, 3) uint8."""
        return sd.encode_video(self.vae, video)
