"""Untrained pipelines of published size, for `--weights random`: a pair's memory and speed, without its weights.

Denoisers, autoencoders and vocoders have the published sizes. Text encoders, billions of parameters that run once for
a prompt, are small ones of the published width. diffusers 0.42.1: src/diffusers/models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import diffusers
import transformers
from diffusers.pipelines.audioldm2.modeling_audioldm2 import AudioLDM2ProjectionModel
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel
from diffusers.pipelines.stable_audio_3.modeling_stable_audio_3 import StableAudio3DurationEmbedder

from mmbench.baselines.models.latent import animatediff as motion
from mmbench.baselines.models.latent import audioldm as mel
from mmbench.baselines.models.pipelines import schedulers
from mmbench.baselines.models.pipelines import tiny_text as text
from mmbench.baselines.models.pipelines.untrained import build_untrained
from mmbench.baselines.parts import stable_diffusion as sd
from mmbench.errors import UsageError
from mmbench.networks.clip_tokens import CONTEXT, bytewise_tokenizer

T5_XXL, T5_LARGE, T5_BASE = 4096, 1024, 768  # widths


def wan() -> Any:
    """Wan 2.1 of 1.3 billion parameters; Wan-AI/Wan2.1-T2V-1.3B-Diffusers."""
    return diffusers.WanPipeline(
        tokenizer=text.t5_tokenizer(),
        text_encoder=text.t5_encoder(T5_XXL, multilingual=True),
        vae=diffusers.AutoencoderKLWan(),
        transformer=diffusers.WanTransformer3DModel(num_attention_heads=12, ffn_dim=8960, num_layers=30),
        scheduler=schedulers.wan(),
    )


def ltx() -> Any:
    """LTX-Video 0.9 of 2 billion parameters; Lightricks/LTX-Video."""
    return diffusers.LTXPipeline(
        scheduler=schedulers.ltx(),
        vae=diffusers.AutoencoderKLLTXVideo(),
        text_encoder=text.t5_encoder(T5_XXL),
        tokenizer=text.t5_tokenizer(),
        transformer=diffusers.LTXVideoTransformer3DModel(),
    )


def cogvideox() -> Any:
    """CogVideoX of 2 billion parameters; zai-org/CogVideoX-2b."""
    return diffusers.CogVideoXPipeline(
        tokenizer=text.t5_tokenizer(),
        text_encoder=text.t5_encoder(T5_XXL),
        vae=diffusers.AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4
        ),
        transformer=diffusers.CogVideoXTransformer3DModel(),
        scheduler=schedulers.cogvideox(),
    )


def animatediff() -> Any:
    """AnimateDiff v1.5.2 on Stable Diffusion 1.5, whose text encoder has its published size."""
    return diffusers.AnimateDiffPipeline(
        vae=diffusers.AutoencoderKL(**sd.VAE),
        text_encoder=transformers.CLIPTextModel(transformers.CLIPTextConfig(**sd.TEXT)),
        tokenizer=bytewise_tokenizer(CONTEXT),
        unet=diffusers.UNet2DConditionModel(**sd.UNET),
        motion_adapter=diffusers.MotionAdapter(**motion.ADAPTER),
        scheduler=schedulers.animatediff(),
    )


def stable_audio() -> Any:
    """Stable Audio Open 1.0; stabilityai/stable-audio-open-1.0."""
    return diffusers.StableAudioPipeline(
        vae=diffusers.AutoencoderOobleck(),
        text_encoder=text.t5_encoder(T5_BASE),
        projection_model=StableAudioProjectionModel(T5_BASE, conditioning_dim=768, min_value=0, max_value=512),
        tokenizer=text.t5_tokenizer(),
        transformer=diffusers.StableAudioDiTModel(),
        scheduler=schedulers.stable_audio(),
    )


def stable_audio_3() -> Any:
    """Stable Audio 3 small, whose 459 million parameters (arXiv 2605.17991) are 20 layers of plain attention."""
    return diffusers.StableAudio3Pipeline(
        vae=diffusers.AutoencoderSAME(),
        text_encoder=text.t5_encoder(T5_BASE),
        tokenizer=text.t5_tokenizer(),
        duration_embedder=StableAudio3DurationEmbedder(),
        transformer=diffusers.StableAudio3DiTModel(
            embed_dim=1024, depth=20, num_heads=16, use_differential_attention=False
        ),
        scheduler=schedulers.stable_audio_3(),
    )


def audioldm2() -> Any:
    """AudioLDM 2 of 346 million parameters; cvssp/audioldm2."""
    width = 768  # of GPT-2
    clap, features = text.clap(projection=512)
    return diffusers.AudioLDM2Pipeline(
        vae=diffusers.AutoencoderKL(**mel.VAE),
        text_encoder=clap,
        text_encoder_2=text.t5_encoder(T5_LARGE),
        projection_model=AudioLDM2ProjectionModel(512, T5_LARGE, width),
        language_model=text.gpt2(width),
        tokenizer=text.roberta_tokenizer(),
        tokenizer_2=text.t5_tokenizer(),
        feature_extractor=features,
        unet=diffusers.AudioLDM2UNet2DConditionModel(
            **{"in_channels": 8, "out_channels": 8, "block_out_channels": (128, 256, 384, 640)},
            **{"down_block_types": ("DownBlock2D", *["CrossAttnDownBlock2D"] * 3)},
            **{"up_block_types": (*["CrossAttnUpBlock2D"] * 3, "UpBlock2D")},
            cross_attention_dim=[[None, width, T5_LARGE]] * 4,
        ),
        scheduler=schedulers.audioldm(),
        vocoder=transformers.SpeechT5HifiGan(transformers.SpeechT5HifiGanConfig(**mel.VOCODER)),
    )


BUILDERS: Mapping[str, tuple[Callable[[], Any], Mapping[str, Any]]] = MappingProxyType(
    {
        "WanPipeline": (wan, {"height": 480, "width": 832, "num_frames": 33}),
        "LTXPipeline": (ltx, {"height": 512, "width": 704, "num_frames": 49}),
        "CogVideoXPipeline": (cogvideox, {"height": 480, "width": 720, "num_frames": 17}),
        "AnimateDiffPipeline": (animatediff, {"height": 512, "width": 512, "num_frames": 16}),
        "StableAudioPipeline": (stable_audio, {"audio_end_in_s": 2.0}),
        "StableAudio3Pipeline": (stable_audio_3, {"duration": 2.0, "guidance_scale": 5.0}),
        "AudioLDM2Pipeline": (audioldm2, {"audio_length_in_s": 2.0}),
    }
)


def make_full(class_name: str) -> tuple[Any, dict[str, Any]]:
    """Build the untrained pipeline of published size of a class of diffusers, and the arguments it is called with.

    The arguments ask for two seconds at the published size, in the pipeline's own number of steps; they lack the
    prompt. Weights are float32 on the CPU.

    Raises:
        UsageError: No published size of this class is known here.
    """
    if class_name not in BUILDERS:
        raise UsageError(f"The published size of {class_name} is not known here.", f"one of {', '.join(BUILDERS)}")
    build, call = BUILDERS[class_name]
    return build_untrained(class_name, build), dict(call)
