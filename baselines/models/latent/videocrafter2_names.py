"""VideoCrafter2 (arXiv 2401.09047) on the classes of diffusers and transformers: the names of its `model.ckpt` mapped.

Its U-Net is a UNet3DConditionModel that also knows a frame rate; for one frame rate that is a constant, folded into a
bias. Its autoencoder is Stable Diffusion's; its text encoder is OpenCLIP's ViT-H/14 tower without the last block.
Names and rules: AILab-CVC/VideoCrafter@11bcd76:lvdm/modules/networks/openaimodel3d.py,
lvdm/modules/encoders/condition.py, configs/inference_t2v_512_v2.0.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor

from mmbench.baselines.parts.unet_names import unet_name
from mmbench.errors import MMBenchError, UsageError
from mmbench.networks.state_dicts import State, load_state, part, rename

PARTS = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")
UNET: Mapping[str, Any] = {  # the released sizes, as arguments of the original classes
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2,
    "channel_mult": [1, 2, 4, 4],
    "num_head_channels": 64,
    "context_dim": 1024,
}
AUTOENCODER: Mapping[str, Any] = {
    "double_z": True,
    "z_channels": 4,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
}
TEXT: Mapping[str, Any] = {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 24}
FIXED: Mapping[str, Any] = {  # what UNet3DConditionModel always does, under the names of the original's options
    "transformer_depth": 1,
    "temporal_conv": True,
    "temporal_attention": True,
    "temporal_selfatt_only": True,
    "use_relative_position": False,
    "use_causal_attention": False,
    "addition_attention": True,
    "fps_cond": True,
}


def split(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """U-Net, autoencoder and text encoder of `model.ckpt`, each under its own names; the rest is its noise schedule.

    Raises:
        MMBenchError: A part is not there.
    """
    state = checkpoint.get("state_dict", checkpoint)
    unet, autoencoder, text = (part(state, prefix) for prefix in PARTS)
    if not (unet and autoencoder and text):
        raise MMBenchError("This checkpoint is not VideoCrafter2's.", f"tensors named {', '.join(PARTS)}*")
    return unet, autoencoder, text


def unet_config(constructor: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of UNet3DConditionModel for those of the original U-Net.

    Raises:
        UsageError: An option has a value that VideoCrafter2 does not use and UNet3DConditionModel does not know.
    """
    other = {name: constructor[name] for name, value in FIXED.items() if constructor.get(name, value) != value}
    if other:
        raise UsageError(f"U-Net options {other} have no counterpart.", ", ".join(f"{k}={FIXED[k]}" for k in other))
    attends = [2**level in constructor["attention_resolutions"] for level in range(len(constructor["channel_mult"]))]
    return {
        "in_channels": constructor["in_channels"],
        "out_channels": constructor["out_channels"],
        "down_block_types": ["CrossAttnDownBlock3D" if a else "DownBlock3D" for a in attends],
        "up_block_types": ["CrossAttnUpBlock3D" if a else "UpBlock3D" for a in reversed(attends)],
        "block_out_channels": [constructor["model_channels"] * multiple for multiple in constructor["channel_mult"]],
        "layers_per_block": constructor["num_res_blocks"],
        "cross_attention_dim": constructor["context_dim"],
        "attention_head_dim": constructor["num_head_channels"],
    }


def fps_bias(state: State, fps: float, channels: int) -> Tensor:
    """Embedding of the frame rate, added to that of every timestep, (4 channels,).

    Args:
        state: Tensors of the original U-Net.
        fps: Frames per second that the model is conditioned on.
        channels: Width of the sinusoids, `model_channels`.

    Raises:
        MMBenchError: A tensor of the frame-rate embedding is missing.
    """
    names = [f"fps_embedding.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")]
    lacking = [name for name in names if name not in state]
    if lacking:
        raise MMBenchError(f"VideoCrafter2's U-Net lacks {lacking[0]}.", "the frame-rate embedding of model.ckpt")
    first, first_bias, second, second_bias = (state[name] for name in names)
    rate = torch.tensor([fps], device=first.device)
    sinusoids = get_timestep_embedding(rate, channels, flip_sin_to_cos=True, downscale_freq_shift=0).to(first)
    return F.linear(F.silu(F.linear(sinusoids, first, first_bias)), second, second_bias)[0]


def load_unet(unet: Any, state: State, fps: float) -> None:
    """Load the original U-Net into a UNet3DConditionModel, for one frame rate [1/s]; names must match exactly."""
    bias = fps_bias(state, fps, unet.config.block_out_channels[0])
    timed = {name: value for name, value in state.items() if not name.startswith("fps_embedding.")}
    if "time_embed.2.bias" in timed:
        timed["time_embed.2.bias"] = timed["time_embed.2.bias"] + bias
    layers = unet.config.layers_per_block
    load_state(
        unet, rename(timed, lambda name: unet_name(name, layers, members=3), "the U-Net"), "VideoCrafter2's U-Net"
    )


def text_config(constructor: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of CLIPTextConfig for those of OpenCLIP's text tower, without the last block, which nothing reads."""
    return {
        "vocab_size": constructor["vocab_size"],
        "hidden_size": constructor["width"],
        "intermediate_size": 4 * constructor["width"],
        "num_hidden_layers": constructor["layers"] - 1,
        "num_attention_heads": constructor["heads"],
        "max_position_embeddings": constructor["context_length"],
        "hidden_act": "gelu",
    }


def load_text(encoder: Any, state: State) -> None:
    """Load OpenCLIP's text tower into a CLIPTextModel, up to its penultimate block; names must match exactly.

    The output is then `last_hidden_state`: that block's, through the final layer norm.
    """
    last = f"model.transformer.resblocks.{encoder.config.num_hidden_layers}."
    unread = {name for name in state if name.startswith(last)} | {"model.text_projection", "model.logit_scale"}
    lacking = [name for name in unread if name not in state]
    if lacking or len(unread) < 3:
        raise MMBenchError(f"The text encoder lacks {(lacking or [last + '*'])[0]}.", "the text tower of model.ckpt")
    read = {name: value for name, value in state.items() if name not in unread}
    renamed: dict[str, Tensor] = {}
    for name, value in read.items():
        if match := re.fullmatch(r"model\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", name):
            for projection, rows in zip("qkv", value.chunk(3), strict=True):
                renamed[f"encoder.layers.{match[1]}.self_attn.{projection}_proj.{match[2]}"] = rows
        else:
            renamed |= rename({name: value}, text_name, "the text encoder")
    load_state(encoder, renamed, "VideoCrafter2's text encoder")


def text_name(name: str) -> str | None:
    """CLIPTextModel's name of a tensor of OpenCLIP's text tower, but for `in_proj`; None if there is none."""
    if match := re.fullmatch(r"model\.transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)", name):
        return f"encoder.layers.{match[1]}.{BLOCK[match[2]]}.{match[3]}" if match[2] in BLOCK else None
    return TEXT_OUTER.get(name)


BLOCK = {
    "ln_1": "layer_norm1",
    "attn.out_proj": "self_attn.out_proj",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
TEXT_OUTER = {
    "model.positional_embedding": "embeddings.position_embedding.weight",
    "model.token_embedding.weight": "embeddings.token_embedding.weight",
    "model.ln_final.weight": "final_layer_norm.weight",
    "model.ln_final.bias": "final_layer_norm.bias",
}
