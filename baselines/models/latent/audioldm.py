"""AudioLDM (arXiv 2301.12503), medium: text to sound, on classes of diffusers and transformers.

Sizes: cvssp/audioldm-m-full@77e8492; clips are 2 s at 16 kHz. Log mels for encoding as
SonyResearch/MMDisCo@3b9f84f:mmdisco/models/diffusion/mel_extractor.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import ClapTextModelWithProjection, SpeechT5HifiGan

from mmbench.baselines.parts.loading import Parts
from mmbench.baselines.parts.mel import HOP_LENGTH, log_mel
from mmbench.mmdisco.schedule import NoiseSchedule

NUM_MELS, N_FFT, NUM_SAMPLES = 64, 1024, 32000
MAX_TOKENS = 512
UNET: Mapping[str, Any] = {
    "in_channels": 8,
    "out_channels": 8,
    "block_out_channels": (192, 384, 576, 960),
    "down_block_types": ("DownBlock2D", *["CrossAttnDownBlock2D"] * 3),
    "up_block_types": (*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"),
    "cross_attention_dim": (192, 384, 576, 960),
    "attention_head_dim": 8,
    "class_embed_type": "simple_projection",
    "projection_class_embeddings_input_dim": 512,
    "class_embeddings_concat": True,
}
VAE: Mapping[str, Any] = {
    "in_channels": 1,
    "out_channels": 1,
    "latent_channels": 8,
    "block_out_channels": (128, 256, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "layers_per_block": 2,
    "scaling_factor": 0.9138255715370178,
}
TEXT: Mapping[str, Any] = {"projection_dim": 512}
VOCODER: Mapping[str, Any] = {
    "model_in_dim": NUM_MELS,
    "sampling_rate": 16000,
    "upsample_initial_channel": 1024,
    "upsample_rates": (5, 4, 2, 2, 2),
    "upsample_kernel_sizes": (16, 16, 8, 4, 4),
    "resblock_kernel_sizes": (3, 7, 11),
    "resblock_dilation_sizes": ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
    "normalize_before": False,
}
TINY: Mapping[str, Mapping[str, Any]] = {
    "unet": {
        "block_out_channels": (8, 8, 16),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": (8, 8, 16),
        "attention_head_dim": 2,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "projection_class_embeddings_input_dim": 16,
    },
    "vae": {"block_out_channels": (4, 4, 8), "layers_per_block": 1, "norm_num_groups": 4},
    "text_encoder": {
        "projection_dim": 16,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 300,
    },
    "vocoder": {"upsample_initial_channel": 64, "initializer_range": 0.2},
}


class AudioLDM:
    """Sound latents (8, 50, 16): time, then mel. Conditions are CLAP text vectors (512,) of length 1."""

    schedule = NoiseSchedule("scaled_linear", 0.0015, 0.0195)
    shape = (8, NUM_SAMPLES // HOP_LENGTH // 4, NUM_MELS // 4)

    def __init__(self, parts: Parts) -> None:
        self.device = parts.device
        self.unet = parts.denoiser(parts.build(UNet2DConditionModel, UNET, TINY["unet"], "unet"))
        self.vae = parts.build(AutoencoderKL, VAE, TINY["vae"], "vae")
        self.text_encoder = parts.build(ClapTextModelWithProjection, TEXT, TINY["text_encoder"], "text_encoder")
        self.vocoder = parts.build(SpeechT5HifiGan, VOCODER, TINY["vocoder"], "vocoder")
        self.tokens = roberta_tokens(parts.folder and parts.folder / "tokenizer")
        self.text_channels: int = self.unet.config.projection_class_embeddings_input_dim

    @torch.inference_mode()
    def text(self, prompt: str) -> Tensor:
        """(512,) float32 on the CPU; "" is the unconditional one."""
        ids = torch.tensor([self.tokens(prompt)], device=self.device)
        embedding = self.text_encoder(ids, attention_mask=torch.ones_like(ids)).text_embeds
        return F.normalize(embedding, dim=-1)[0].cpu().clone()

    def unconditional(self) -> Tensor:
        """Text embedding of the empty prompt."""
        return self.text("")

    def epsilon(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Predicted noise of (n, 8, 50, 16) latents."""
        dtype = self.unet.dtype
        return self.unet(x_t.to(dtype), t, encoder_hidden_states=None, class_labels=text.to(dtype)).sample

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> np.ndarray:
        """(n, 32000) float32 at 16 kHz; the vocoder's last 32 samples, an artefact of its first stage, are cut."""
        waves = [self.waves(latent) for latent in latents.split(1)]  # bounded memory, and nothing depends on the batch
        return torch.cat(waves).float().cpu().numpy()

    def waves(self, latents: Tensor) -> Tensor:
        """What `decode` gives, as a tensor with a graph."""
        mel = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return self.vocoder(mel[:, 0])[:, :NUM_SAMPLES]

    @torch.inference_mode()
    def encode(self, wave: np.ndarray) -> Tensor:
        """(8, 50, 16) float32 on the CPU, the mode, of (32000,) float32 at 16 kHz."""
        mel = log_mel(torch.from_numpy(wave)[None].to(self.device), N_FFT, NUM_MELS).mT[:, None]
        return (self.vae.encode(mel).latent_dist.mode() * self.vae.config.scaling_factor)[0].cpu().clone()


def roberta_tokens(tokenizer: Path | None) -> Callable[[str], list[int]]:
    """From a text to its RoBERTa tokens with start and end, at most 512; for random weights (None) single bytes."""
    if tokenizer is None:
        return lambda text: [0, *(byte + 3 for byte in text.encode()[: MAX_TOKENS - 2]), 2]
    from transformers import RobertaTokenizer

    known = RobertaTokenizer.from_pretrained(tokenizer, local_files_only=True)
    return lambda text: known(text, truncation=True, max_length=MAX_TOKENS)["input_ids"]
