"""What AnimateDiff, Auffusion and VideoCrafter2 share with Stable Diffusion 1.5: sizes, latents of frames, CLIP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmbench.networks.clip_tokens import CONTEXT

UNET: Mapping[str, Any] = {"cross_attention_dim": 768, "attention_head_dim": 8}
VAE: Mapping[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "scaling_factor": 0.18215,
}
TEXT: Mapping[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
TINY_WIDTH = 16  # of text states
TINY: Mapping[str, Mapping[str, Any]] = {
    "unet": {
        "block_out_channels": (4, 8),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": TINY_WIDTH,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    },
    "vae": {"block_out_channels": (2, 4, 4, 4), "layers_per_block": 1, "norm_num_groups": 2},
    "text_encoder": {
        "hidden_size": TINY_WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
}


@torch.inference_mode()
def padded_states(encoder: Any, tokens: Callable[[str], list[int]], prompt: str, pad: int) -> Tensor:
    """(77, width) float32 on the CPU: the last hidden state of a prompt filled up with token `pad`."""
    ids = tokens(prompt)
    row = torch.tensor([ids + [pad] * (CONTEXT - len(ids))], device=encoder.device)
    return encoder(row).last_hidden_state[0].float().cpu().clone()


@torch.inference_mode()
def decode_video(vae: Any, latents: Tensor) -> np.ndarray:
    """(n, 4, t, h, w) latents to (n, t, 8 h, 8 w, 3) float32 in [0, 1], one sample at a time to bound the memory."""
    videos = [decode_frames(vae, latent.transpose(0, 1)).permute(0, 2, 3, 1).cpu() for latent in latents]
    return torch.stack(videos).numpy()


def decode_frames(vae: Any, latents: Tensor) -> Tensor:
    """(n, 4, h, w) latents of single frames to (n, 3, 8 h, 8 w) float32 in [0, 1], with a graph."""
    frames = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype)).sample
    return (frames / 2 + 0.5).clamp(0, 1).float()


@torch.inference_mode()
def encode_video(vae: Any, video: np.ndarray) -> Tensor:
    """(t, h, w, 3) uint8 to (4, t, h / 8, w / 8) float32 latents on the CPU, the mode."""
    frames = torch.from_numpy(video).to(vae.device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return (vae.encode(frames).latent_dist.mode() * vae.config.scaling_factor).transpose(0, 1).cpu().clone()
