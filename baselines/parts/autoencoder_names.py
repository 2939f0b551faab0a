"""The autoencoder of latent diffusion models under its original names, as diffusers' AutoencoderKL.

The names are those of CompVis/latent-diffusion's AutoencoderKL, kept by AILab-CVC/VideoCrafter@11bcd76:
lvdm/models/autoencoder.py and by Diff-Foley.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mmbench.errors import UsageError
from mmbench.networks.state_dicts import State, load_state, rename

SCALING_FACTOR = 0.18215  # of Stable Diffusion's latents
ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def autoencoder_config(ddconfig: Mapping[str, Any], embed_dim: int) -> dict[str, Any]:
    """Arguments of diffusers' AutoencoderKL for those of the original class.

    Args:
        ddconfig: The original's `ddconfig`.
        embed_dim: Channels of the latents.

    Raises:
        UsageError: It has what diffusers' class has not: attention outside the middle, or latents of another width.
    """
    if ddconfig["attn_resolutions"] or ddconfig["z_channels"] != embed_dim or not ddconfig["double_z"]:
        raise UsageError(
            f"Autoencoder {dict(ddconfig)}.", "attention in the middle only, z_channels as many as embed_dim"
        )
    widths = [ddconfig["ch"] * multiple for multiple in ddconfig["ch_mult"]]
    return {
        "in_channels": ddconfig["in_channels"],
        "out_channels": ddconfig["out_ch"],
        "latent_channels": embed_dim,
        "block_out_channels": widths,
        "layers_per_block": ddconfig["num_res_blocks"],
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "scaling_factor": SCALING_FACTOR,
    }


def autoencoder_name(name: str, levels: int) -> str | None:
    """diffusers' name of an original tensor; None if there is none.

    Args:
        name: Original name.
        levels: Resolutions. The original counts those of the decoder from the picture, diffusers from the middle.
    """
    if match := re.fullmatch(r"(encoder\.down|decoder\.up)\.(\d+)\.(block\.\d+|downsample|upsample)\.(.+)", name):
        side, level, layer, rest = match.groups()
        block = int(level) if side == "encoder.down" else levels - 1 - int(level)
        layer = layer.replace("block", "resnets").replace("sample", "samplers.0")
        return f"{side}_blocks.{block}.{layer}.{rest.replace('nin_shortcut', 'conv_shortcut')}"
    if match := re.fullmatch(r"(encoder|decoder)\.mid\.block_([12])\.(.+)", name):
        return f"{match[1]}.mid_block.resnets.{int(match[2]) - 1}.{match[3]}"
    if match := re.fullmatch(r"(encoder|decoder)\.mid\.attn_1\.(\w+)\.(\w+)", name):
        return f"{match[1]}.mid_block.attentions.0.{ATTENTION.get(match[2])}.{match[3]}"
    if re.fullmatch(r"((encoder|decoder)\.(conv_in|conv_out|norm_out)|(post_)?quant_conv)\.\w+", name):
        return name.replace("norm_out", "conv_norm_out")
    return None


def load_autoencoder(vae: Any, state: State) -> None:
    """Load a state dict under the original names into an AutoencoderKL; they must match exactly."""
    levels = len(vae.config.block_out_channels)
    load_state(vae, rename(state, lambda name: autoencoder_name(name, levels), "the autoencoder"), "the autoencoder")
