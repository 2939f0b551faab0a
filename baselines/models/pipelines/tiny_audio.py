"""Text-to-audio pipelines of diffusers with few untrained weights: each has its published scheduler and latents.

Sizes follow diffusers 0.42.1: tests/pipelines, made to end with about two seconds of sound at low rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import diffusers
from diffusers.pipelines.audioldm2.modeling_audioldm2 import AudioLDM2ProjectionModel
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel
from diffusers.pipelines.stable_audio_3.modeling_stable_audio_3 import StableAudio3DurationEmbedder
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from mmbench.baselines.models.latent import audioldm as mel
from mmbench.baselines.models.pipelines import schedulers
from mmbench.baselines.models.pipelines import tiny_text as text
from mmbench.baselines.models.pipelines.tiny_text import WIDTH

RATE = 8000  # samples per second, of autoencoders of waveforms
VOCODER: Mapping[str, Any] = {
    **mel.VOCODER,
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": (3,),
    "resblock_dilation_sizes": ((1, 3),),
    "initializer_range": 0.2,
}


def stable_audio() -> Any:
    """Stable Audio Open 1.0: EDM-preconditioned v, stochastic; stabilityai/stable-audio-open-1.0."""
    channels, width = 8, 16
    return diffusers.StableAudioPipeline(
        vae=diffusers.AutoencoderOobleck(
            **{"encoder_hidden_size": 16, "decoder_channels": 4, "decoder_input_channels": channels},
            **{"downsampling_ratios": [8, 8, 8], "channel_multiples": [1, 2, 2], "sampling_rate": RATE},
        ),
        text_encoder=text.t5_encoder(),
        projection_model=StableAudioProjectionModel(
            text_encoder_dim=WIDTH, conditioning_dim=width, min_value=0, max_value=512
        ),
        tokenizer=text.t5_tokenizer(),
        transformer=diffusers.StableAudioDiTModel(
            **{"sample_size": 64, "in_channels": channels, "out_channels": channels, "num_layers": 2},
            **{"num_attention_heads": 2, "num_key_value_attention_heads": 1, "attention_head_dim": 8},
            **{"cross_attention_dim": width, "cross_attention_input_dim": width},
            **{"global_states_input_dim": 2 * width, "time_proj_dim": 16},
        ),
        scheduler=schedulers.stable_audio(),
    )


def stable_audio_3() -> Any:
    """Stable Audio 3, not distilled: flow, sigmas uniform in log SNR; stabilityai/stable-audio-3-small-sfx-base."""
    channels = 8
    return diffusers.StableAudio3Pipeline(
        vae=diffusers.AutoencoderSAME(
            **{"patch_size": 32, "encoder_channels": 8, "encoder_c_mults": [2], "encoder_strides": [16]},
            **{"encoder_transformer_depths": [1], "latent_dim": channels, "dim_heads": 8, "sampling_rate": RATE},
        ),
        text_encoder=text.t5_encoder(),
        tokenizer=text.t5_tokenizer(),
        duration_embedder=StableAudio3DurationEmbedder(output_dim=WIDTH, fourier_dim=16),
        transformer=diffusers.StableAudio3DiTModel(
            **{"io_channels": channels, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_memory_tokens": 4},
            **{"cond_token_dim": WIDTH, "global_cond_dim": WIDTH, "local_add_cond_dim": channels + 1},
            timestep_features_dim=16,
        ),
        scheduler=schedulers.stable_audio_3(),
    )


def _latent_mel(width: int) -> dict[str, Any]:
    """Autoencoder of log mels and vocoder to 16 kHz, with the published rates: 25 latents per second."""
    return {
        "vae": diffusers.AutoencoderKL(
            **{"in_channels": 1, "out_channels": 1, "latent_channels": 8, "block_out_channels": (4, 4, width)},
            **{"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3},
            **{"norm_num_groups": 4, "scaling_factor": mel.VAE["scaling_factor"]},
        ),
        "vocoder": SpeechT5HifiGan(SpeechT5HifiGanConfig(**VOCODER)),
        "scheduler": schedulers.audioldm(),
    }


def audioldm2() -> Any:
    """AudioLDM 2: epsilon, DDIM; CLAP, T5 and GPT-2 read the prompt; cvssp/audioldm2."""
    width = 16
    clap, features = text.clap()
    return diffusers.AudioLDM2Pipeline(
        **_latent_mel(8),
        text_encoder=clap,
        text_encoder_2=text.t5_encoder(),
        projection_model=AudioLDM2ProjectionModel(clap.config.projection_dim, WIDTH, width),
        language_model=text.gpt2(width),
        tokenizer=text.roberta_tokenizer(),
        tokenizer_2=text.t5_tokenizer(),
        feature_extractor=features,
        unet=diffusers.AudioLDM2UNet2DConditionModel(
            **{"in_channels": 8, "out_channels": 8, "block_out_channels": (8, 16), "layers_per_block": 1},
            **{"down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "norm_num_groups": 4},
            **{"up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "attention_head_dim": 2},
            cross_attention_dim=[[None, width, WIDTH]] * 2,
        ),
    )


def audioldm() -> Any:
    """AudioLDM: epsilon, DDIM, one CLAP vector for a prompt; cvssp/audioldm-m-full."""
    encoder = text.clap_text_encoder()
    return diffusers.AudioLDMPipeline(
        **_latent_mel(8),
        text_encoder=encoder,
        tokenizer=text.roberta_tokenizer(),
        unet=diffusers.UNet2DConditionModel(
            **{"in_channels": 8, "out_channels": 8, "block_out_channels": (8, 16), "layers_per_block": 1},
            **{"down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "norm_num_groups": 4},
            **{"up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "cross_attention_dim": (8, 16)},
            **{"class_embed_type": "simple_projection", "class_embeddings_concat": True, "attention_head_dim": 2},
            projection_class_embeddings_input_dim=encoder.config.projection_dim,
        ),
    )


def longcat() -> Any:
    """LongCat-AudioDiT, of speech: flow towards the data, Euler on inverted sigmas; meituan-longcat."""
    channels = 8
    return diffusers.LongCatAudioDiTPipeline(
        vae=diffusers.LongCatAudioDiTVae(
            **{"channels": 8, "c_mults": [1, 2, 2], "strides": [8, 8, 8], "downsampling_ratio": 512},
            **{"latent_dim": channels, "encoder_latent_dim": 2 * channels, "sample_rate": RATE},
        ),
        text_encoder=text.t5_encoder(multilingual=True),
        tokenizer=text.t5_tokenizer(),
        transformer=diffusers.LongCatAudioDiTTransformer(
            **{"dit_dim": 64, "dit_depth": 2, "dit_heads": 4, "dit_text_dim": WIDTH, "latent_dim": channels},
            text_conv=False,
        ),
        scheduler=schedulers.longcat(),
    )
