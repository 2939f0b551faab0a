"""Text-to-video pipelines of diffusers with few untrained weights: each has its published scheduler and latents.

Sizes follow diffusers 0.42.1: tests/pipelines, made to end with clips of about two seconds.
"""

from __future__ import annotations

from typing import Any

import diffusers
import torch

from mmbench.baselines.models.pipelines import schedulers
from mmbench.baselines.models.pipelines import tiny_text as text
from mmbench.baselines.models.pipelines.tiny_text import MAX_TOKENS, WIDTH
from mmbench.networks.clip_tokens import bytewise_tokenizer


def wan() -> Any:
    """Wan 2.1: flow, UniPC with shift 3; Wan-AI/Wan2.1-T2V-1.3B-Diffusers."""
    return diffusers.WanPipeline(
        tokenizer=text.t5_tokenizer(),
        text_encoder=text.t5_encoder(multilingual=True),
        vae=diffusers.AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ),
        transformer=diffusers.WanTransformer3DModel(
            **{"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32, "num_layers": 2},
            **{"text_dim": WIDTH, "freq_dim": 32, "rope_max_seq_len": 32},
        ),
        scheduler=schedulers.wan(),
    )


def ltx() -> Any:
    """LTX-Video 0.9: flow, shifts that grow with the length, packed latents; Lightricks/LTX-Video."""
    channels = 8
    vae: Any = diffusers.AutoencoderKLLTXVideo(
        **{"latent_channels": channels, "block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4},
        **{"layers_per_block": (1,) * 5, "decoder_layers_per_block": (1,) * 5, "scaling_factor": 0.5},
    )
    vae.latents_mean.copy_(torch.linspace(-0.5, 0.5, channels))
    vae.latents_std.copy_(torch.linspace(0.5, 1.5, channels))
    return diffusers.LTXPipeline(
        scheduler=schedulers.ltx(),
        vae=vae,
        text_encoder=text.t5_encoder(),
        tokenizer=text.t5_tokenizer(),
        transformer=diffusers.LTXVideoTransformer3DModel(
            **{"in_channels": channels, "out_channels": channels, "num_attention_heads": 4, "attention_head_dim": 8},
            **{"cross_attention_dim": 32, "num_layers": 1, "caption_channels": WIDTH},
        ),
    )


def cogvideox() -> Any:
    """CogVideoX: v with zero terminal SNR, DDIM, frames before channels; zai-org/CogVideoX-2b."""
    return diffusers.CogVideoXPipeline(
        tokenizer=text.t5_tokenizer(),
        text_encoder=text.t5_encoder(),
        vae=diffusers.AutoencoderKLCogVideoX(
            **{"block_out_channels": (8,) * 4, "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 2},
            **{"down_block_types": ("CogVideoXDownBlock3D",) * 4, "up_block_types": ("CogVideoXUpBlock3D",) * 4},
        ),
        transformer=diffusers.CogVideoXTransformer3DModel(
            **{"num_attention_heads": 4, "attention_head_dim": 8, "in_channels": 4, "out_channels": 4},
            **{"time_embed_dim": 2, "text_embed_dim": WIDTH, "num_layers": 1, "max_text_seq_length": MAX_TOKENS},
            **{"sample_width": 4, "sample_height": 4, "sample_frames": 17},
        ),
        scheduler=schedulers.cogvideox(),
    )


def animatediff() -> Any:
    """AnimateDiff on Stable Diffusion 1.5: epsilon, DDIM; guoyww/animatediff-motion-adapter-v1-5-2."""
    width = 16
    return diffusers.AnimateDiffPipeline(
        vae=diffusers.AutoencoderKL(
            **{"block_out_channels": (4, 4, 4, 8), "latent_channels": 4, "norm_num_groups": 2},
            **{"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4},
        ),
        text_encoder=text.clip_encoder(width),
        tokenizer=bytewise_tokenizer(MAX_TOKENS),
        unet=diffusers.UNet2DConditionModel(
            **{"block_out_channels": (8, 8), "layers_per_block": 1, "sample_size": 4, "norm_num_groups": 2},
            **{"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "cross_attention_dim": width},
            **{"up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "attention_head_dim": 2},
        ),
        motion_adapter=diffusers.MotionAdapter(
            **{"block_out_channels": (8, 8), "motion_layers_per_block": 1, "motion_norm_num_groups": 2},
            motion_num_attention_heads=2,
        ),
        scheduler=schedulers.animatediff(),
    )


def mochi() -> Any:
    """Mochi 1: flow towards the data, Euler on inverted sigmas; genmo/mochi-1-preview."""
    return diffusers.MochiPipeline(
        scheduler=schedulers.mochi(),
        vae=diffusers.AutoencoderKLMochi(
            **{"encoder_block_out_channels": (32,) * 4, "decoder_block_out_channels": (32,) * 4},
            layers_per_block=(1,) * 5,
        ),
        text_encoder=text.t5_encoder(),
        tokenizer=text.t5_tokenizer(),
        transformer=diffusers.MochiTransformer3DModel(
            **{"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2, "pooled_projection_dim": 16},
            **{"text_embed_dim": WIDTH, "time_embed_dim": 4, "max_sequence_length": MAX_TOKENS},
        ),
    )
